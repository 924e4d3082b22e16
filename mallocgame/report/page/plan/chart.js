// The chart of a plan's page: fast memory, the HBM bandwidth in use and the waits.

const BANDWIDTH = 46, WAITS = 34;

for (const side of SIDES) side.most = DATA.fast_bytes;

const PAGE = {
  panels: SIDES,
  times: COUNT,
  height: 236,
  strips: [
    { height: BANDWIDTH, names: () => ["HBM in use", "100 %", "0"], draw: drawBandwidth },
    { height: WAITS, names: (side) => ["waiting", longest(side) ? duration(longest(side)) : "none", ""], draw: drawWaits },
  ],
  colours: ["written", "fetched", "flight"],
  inks: ["reserved", "own", "copies", "wait"],
  loops: DATA.computations.filter(({ kind }) => kind === "body"),
  upward: "address",
  empty: "Nothing is in fast memory",
  find: "Find a tensor or instruction",
  noun: "stay",
  places,
  axis: () => shown.axis === "order"
    ? { whole: true, least: 4, name: "program order", more: ": instructions of the schedule that take time, a loop's body once" }
    : { whole: false, least: 1000, name: `time under ${shown.model}`, more: ": a loop's body is as wide as all of its runs" },
  figures: (side) => `${shown.model} ${duration(side.total[shown.model])}, of it waiting ${duration(side.stalls[shown.model])}`,
  behind: drawReserved,
  above: () => {},
  label: chartLabel,
  boxFacts,
  timeFacts: instructionFacts,
  sought,
};

function places(side) {
  return shown.axis === "order" ? ORDER : side.models[shown.model].total;
}

function longest(side) {
  return side.models[shown.model].longest;
}

function drawReserved(pen, ink, side, number, at) {
  pen.fillStyle = ink.reserved;
  for (const { start, end, offset, size } of DATA.reserved) {
    const left = across(at[start]), y = up(number, offset + size);
    pen.fillRect(left, y, across(at[end + 1]) - left, up(number, offset) - y);
  }
}

// A column of pixels shows the mean over its time, of what the instructions take themselves and of what copies take.
function drawBandwidth(pen, ink, side, at, top) {
  const line = side.models[shown.model];
  const share = (values, from, to, time) => (valueAt(at, values, to) - valueAt(at, values, from)) / time;
  const end = Math.min(chart.width - RIGHT, across(at[COUNT]));
  for (let pixel = LEFT; pixel < end; pixel += 1) {
    const from = unacross(pixel), to = unacross(Math.min(pixel + 1, end));
    const time = valueAt(at, line.total, to) - valueAt(at, line.total, from);
    if (!(time > 0)) continue;
    const own = Math.min(1, share(line.own, from, to, time)) * BANDWIDTH;
    const copies = Math.min(BANDWIDTH - own, share(line.copied, from, to, time) * BANDWIDTH);
    pen.fillStyle = ink.own;
    pen.fillRect(pixel, top + BANDWIDTH - own, 1, own);
    pen.fillStyle = ink.copies;
    pen.fillRect(pixel, top + BANDWIDTH - own - copies, 1, copies);
  }
}

function drawWaits(pen, ink, side, at, top) {
  const line = side.models[shown.model];
  if (!line.longest) return;
  pen.fillStyle = ink.wait;
  for (let time = 0; time < COUNT; time += 1) {
    if (!line.stall[time]) continue;
    const left = across(at[time]);
    const width = shown.axis === "time" ? across(at[time] + line.stall[time]) - left : across(at[time + 1]) - left;
    const height = Math.max(1.5, (line.stall[time] / line.longest) * (WAITS - 2));
    pen.fillRect(left, top + WAITS - height, Math.max(1.5, width), height);
  }
}

function chartLabel() {
  const parts = SIDES.map((side) => {
    const stays = side.boxes.filter((box) => !box.flight).length;
    return `${side.title}: ${stays} stays in fast memory, peak ${bytes(side.peak)}, ${shown.model} ${duration(side.total[shown.model])}`;
  });
  return `Memory map of fast memory, time across and address up. ${parts.join(". ")}. The table below has the same.`;
}
