// Fills the memory page once.

const LEAST = 2 ** 16; // bytes of a memory that has a card

function fillFigures() {
  for (const { name, total, capacity } of DATA.spaces.filter(({ total }) => total >= LEAST)) {
    const memory = DATA.memories.find((one) => one.name === name);
    const over = capacity ? total - capacity : 0;
    const badge = over > 0 ? ["loss", `${bytes(over)} too much for ${bytes(capacity)}`] : capacity ? ["hint", `of ${bytes(capacity)}`] : null;
    byId("figures").append(card(name, bytes(total), badge, memory ? kindBars(memory) : [["used", total, bytes(total), "own"]]));
    if (memory && ROLES_KNOWN) byId("figures").append(card(`${name} at the peak, by role`, bytes(memory.peak.live), null, bytesBars(memory, (box) => box.role, DATA.roles, SLUGS)));
  }
}

function kindBars(memory) {
  const { peak } = memory, bars = bytesBars(memory, (box) => box.is, DATA.kind_names, DATA.kinds);
  return peak.rest ? [...bars, [peak.time === null ? "not listed" : "holds nothing", peak.rest, bytes(peak.rest), "reserved"]] : bars;
}

function bytesBars({ at_peak }, part, names, colours) {
  const sums = names.map((_, number) => at_peak.reduce((sum, { box, size }) => sum + (part(box) === number ? size : 0), 0));
  return names.map((name, number) => [name, sums[number], bytes(sums[number]), colours[number]]).filter(([, sum]) => sum);
}

function legend() {
  const present = new Set(DATA.memories.flatMap(({ boxes }) => boxes.map((box) => box.kind)));
  const names = [...DATA.kind_names, ...DATA.roles];
  const entries = PAGE.colours.map((colour, number) => [colour, names[number]]).filter((_, number) => present.has(number));
  entries.push(["own", "live: throughout the program"], ["soft", "live: temporaries"], ["wait", "the peak"]);
  return DATA.loops.length ? [...entries, ["loop", "inside a loop body"]] : entries;
}

fillHead();
fillFigures();
fillPeak();
fillSources();
if (DATA.words.length) fillWords();
byId("words").hidden = !DATA.words.length;
fillProvenance();
if (PANELS.length) {
  colourBy(ROLES_KNOWN ? "role" : "kind");
  fillLegend(legend());
  handleMemory();
  startChart();
}
byId("map").hidden = !PANELS.length;
performance.mark("ready");
