// Fills the memory page once.

const LEAST = 2 ** 16; // bytes of a memory that has a card

function fillFigures() {
  for (const { name, total, capacity } of DATA.spaces.filter(({ total }) => total >= LEAST)) {
    const memory = DATA.memories.find((one) => one.name === name);
    const over = capacity ? total - capacity : 0;
    const badge = over > 0 ? ["loss", `${bytes(over)} too much for ${bytes(capacity)}`] : capacity ? ["hint", `of ${bytes(capacity)}`] : null;
    byId("figures").append(card(name, bytes(total), badge, memory ? kindBars(memory) : [["used", total, bytes(total), "written"]]));
  }
}

function kindBars({ at_peak, peak }) {
  const sums = DATA.kinds.map((_, kind) => at_peak.reduce((sum, row) => sum + (row.box.kind === kind ? row.size : 0), 0));
  const bars = DATA.kinds.map((kind, number) => [DATA.kind_names[number], sums[number], bytes(sums[number]), kind]).filter(([, sum]) => sum);
  return peak.rest ? [...bars, [peak.time === null ? "not listed" : "holds nothing", peak.rest, bytes(peak.rest), "reserved"]] : bars;
}

function legend() {
  const present = new Set(DATA.memories.flatMap((memory) => memory.boxes.map((box) => box.kind)));
  const entries = DATA.kinds.map((kind, number) => [kind, DATA.kind_names[number]]).filter((_, number) => present.has(number));
  if (DATA.loops.length) entries.push(["loop", "inside a loop body"]);
  return [...entries, ["wait", "the peak"]];
}

fillHead();
fillFigures();
fillPeak();
fillSources();
if (DATA.words.length) fillWords();
byId("words").hidden = !DATA.words.length;
fillProvenance();
if (PANELS.length) {
  fillLegend(legend());
  startChart();
}
byId("map").hidden = !PANELS.length;
performance.mark("ready");
