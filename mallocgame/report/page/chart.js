// The chart: for each side a memory map, the HBM bandwidth in use and the waits, all on one axis.

const LEFT = 82, RIGHT = 14, TITLE = 26, MAP = 236, BANDWIDTH = 46, WAITS = 34, GAP = 7, BETWEEN = 20, AXIS = 38;
const PANEL = TITLE + MAP + GAP + BANDWIDTH + GAP + WAITS;
const HEIGHT = SIDES.length * PANEL + (SIDES.length - 1) * BETWEEN + AXIS;
const LETTER = 6.5; // widest a letter of a label is, in pixels
const NARROW = 560; // CSS pixels: a narrower chart says less
const KINDS = ["written", "fetched", "flight"];
const SPARE = 1.25; // as in the pictures: the address axis shows a little more than what is used

const chart = {
  canvas: byId("chart"),
  axis: "order",
  model: "E",
  x0: 0, x1: 1, y0: 0, y1: 1,
  hover: null,   // { side, time, box, x }
  picked: null,  // a box
  found: null,   // Set of tensors that the search matches
  width: 0,
  scale: 1,
};

function places(side) {
  return chart.axis === "order" ? ORDER : side.models[chart.model].total;
}

function wholeWidth() {
  return Math.max(1e-9, ...SIDES.map((side) => places(side)[COUNT]));
}

function wholeHeight() {
  const used = Math.max(0, ...SIDES.flatMap((side) => side.boxes.map((box) => box.offset + box.size)));
  return used ? Math.min(DATA.fast_bytes, SPARE * used) : DATA.fast_bytes;
}

function showWhole() {
  Object.assign(chart, { x0: 0, x1: wholeWidth(), y0: 0, y1: wholeHeight() });
}

function across(x) {
  return LEFT + ((x - chart.x0) / (chart.x1 - chart.x0)) * (chart.width - LEFT - RIGHT);
}

function unacross(pixel) {
  return chart.x0 + ((pixel - LEFT) / (chart.width - LEFT - RIGHT)) * (chart.x1 - chart.x0);
}

function panelTop(number) {
  return number * (PANEL + BETWEEN);
}

function up(number, address) {
  return panelTop(number) + TITLE + MAP - ((address - chart.y0) / (chart.y1 - chart.y0)) * MAP;
}

function resize(width, scale) {
  chart.width = width;
  chart.scale = scale;
  chart.canvas.width = Math.round(width * scale);
  chart.canvas.height = Math.round(HEIGHT * scale);
}

function draw() {
  const pen = chart.canvas.getContext("2d");
  const ink = Object.fromEntries(
    ["paper", "ink", "soft", "line", "grid", "loop", "written", "written-ink", "fetched", "fetched-ink", "flight",
     "flight-line", "reserved", "own", "copies", "wait", "edge", "mark", "accent"].map((name) => [name, colour(name)]));
  pen.setTransform(chart.scale, 0, 0, chart.scale, 0, 0);
  pen.fillStyle = ink.paper;
  pen.fillRect(0, 0, chart.width, HEIGHT);
  const ticks = axisTicks();
  SIDES.forEach((side, number) => drawPanel(pen, ink, side, number, ticks));
  drawAxis(pen, ink, ticks);
  chart.canvas.setAttribute("aria-label", chartLabel());
}

function drawPanel(pen, ink, side, number, ticks) {
  const top = panelTop(number), right = chart.width - RIGHT, mapTop = top + TITLE;
  const bandwidthTop = mapTop + MAP + GAP, waitsTop = bandwidthTop + BANDWIDTH + GAP;
  const line = side.models[chart.model], at = places(side);
  text(pen, side.title, LEFT, top + 15, { font: "600 13px", fill: ink.ink });
  const figures = `${chart.model} ${duration(side.total[chart.model])}, of it waiting ${duration(side.stalls[chart.model])}`;
  if (chart.width > NARROW) text(pen, figures, right, top + 15, { fill: ink.soft, align: "right" });

  pen.save();
  pen.beginPath();
  pen.rect(LEFT, mapTop, right - LEFT, waitsTop + WAITS - mapTop);
  pen.clip();
  for (const { kind, start, end } of DATA.computations) {
    if (kind !== "body") continue;
    const left = across(at[start]);
    pen.fillStyle = ink.loop;
    for (const [y, height] of [[mapTop, MAP], [bandwidthTop, BANDWIDTH], [waitsTop, WAITS]]) {
      pen.fillRect(left, y, across(at[end + 1]) - left, height);
    }
  }
  pen.fillStyle = ink.grid;
  for (const tick of ticks.at) pen.fillRect(Math.round(across(tick)), mapTop, 1, waitsTop + WAITS - mapTop);
  drawBandwidth(pen, ink, line, at, bandwidthTop);
  drawWaits(pen, ink, line, at, waitsTop);
  pen.beginPath();
  pen.rect(LEFT, mapTop, right - LEFT, MAP);
  pen.clip();
  drawReserved(pen, ink, number, at);
  drawBoxes(pen, ink, side, number, at);
  pen.restore();

  if (!side.boxes.length) {
    text(pen, "Nothing is in fast memory", (LEFT + right) / 2, mapTop + MAP / 2, { align: "center", fill: ink.soft, font: "14px" });
  }
  if (chart.hover && chart.hover.side === side) {
    pen.fillStyle = ink.soft;
    pen.fillRect(Math.round(chart.hover.x), mapTop, 1, waitsTop + WAITS - mapTop);
  }
  drawAddresses(pen, ink, number, mapTop);
  frame(pen, ink, bandwidthTop, BANDWIDTH, ["HBM in use", "100 %", "0"]);
  frame(pen, ink, waitsTop, WAITS, ["waiting", line.longest ? duration(line.longest) : "none", ""]);
}

function drawReserved(pen, ink, number, at) {
  pen.fillStyle = ink.reserved;
  for (const { start, end, offset, size } of DATA.reserved) {
    const left = across(at[start]), y = up(number, offset + size);
    pen.fillRect(left, y, across(at[end + 1]) - left, up(number, offset) - y);
  }
}

function drawBoxes(pen, ink, side, number, at) {
  const edges = [];
  const hatch = hatching(pen, ink);
  const right = chart.width - RIGHT;
  for (const box of side.boxes) {
    const left = across(at[box.start]), end = across(at[box.end + 1]);
    if (end <= left || end < LEFT || left > right || box.offset > chart.y1 || box.offset + box.size < chart.y0) continue;
    const y = up(number, box.offset + box.size), height = Math.max(0.4, up(number, box.offset) - y);
    const width = Math.max(0.4, end - left);
    pen.globalAlpha = chart.found && !chart.found.has(box.tensor) ? 0.13 : 1;
    pen.fillStyle = ink[KINDS[box.kind]];
    pen.fillRect(left, y, width, height);
    if (KINDS[box.kind] === "flight" && width > 5 && height > 3) {
      pen.fillStyle = hatch;
      pen.fillRect(left, y, width, height);
    }
    if (width > 2.5 && height > 2.5) {
      pen.strokeStyle = ink.edge;
      pen.lineWidth = Math.min(1, width / 6, height / 6);
      pen.strokeRect(left, y, width, height);
    }
    if (box.kind !== 2) label(pen, ink, box, Math.max(left, LEFT), y, Math.min(end, right), height);
    if (chart.hover?.box?.tensor === box.tensor || chart.picked?.tensor === box.tensor) edges.push([left, y, width, height, box]);
  }
  pen.globalAlpha = 1;
  for (const [x, y, width, height, box] of edges) {
    pen.strokeStyle = ink.mark;
    pen.lineWidth = box === chart.picked || box === chart.hover?.box ? 2.5 : 1.5;
    pen.strokeRect(x, y, Math.max(width, 2), Math.max(height, 2));
  }
}

function label(pen, ink, box, left, y, right, height) {
  if (height < 13 || right - left < 46) return;
  const room = Math.floor((right - left - 8) / LETTER);
  const name = box.name.length <= room ? box.name : `${box.name.slice(0, room - 1)}…`;
  text(pen, name, left + 5, y + height / 2 + 3.5, {
    font: "10.5px", fill: ink[`${KINDS[box.kind]}-ink`], family: "mono",
  });
}

// A column of pixels shows the mean over its time, of what the instructions take themselves and of what copies take.
function drawBandwidth(pen, ink, line, at, top) {
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

function drawWaits(pen, ink, line, at, top) {
  if (!line.longest) return;
  pen.fillStyle = ink.wait;
  for (let time = 0; time < COUNT; time += 1) {
    if (!line.stall[time]) continue;
    const left = across(at[time]);
    const width = chart.axis === "time" ? across(at[time] + line.stall[time]) - left : across(at[time + 1]) - left;
    const height = Math.max(1.5, (line.stall[time] / line.longest) * (WAITS - 2));
    pen.fillRect(left, top + WAITS - height, Math.max(1.5, width), height);
  }
}

function hatching(pen, ink) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const brush = tile.getContext("2d");
  brush.strokeStyle = ink["flight-line"];
  brush.lineWidth = 1;
  brush.beginPath();
  brush.moveTo(-1, 7);
  brush.lineTo(7, -1);
  brush.stroke();
  return pen.createPattern(tile, "repeat");
}

function frame(pen, ink, top, height, [name, most, least]) {
  pen.fillStyle = ink.line;
  pen.fillRect(LEFT, top + height, chart.width - LEFT - RIGHT, 1);
  text(pen, most, LEFT - 6, top + 9, { align: "right", fill: ink.soft, font: "10.5px" });
  text(pen, name, LEFT - 6, top + height / 2 + 5, { align: "right", fill: ink.soft, font: "10.5px" });
  if (height > 40) text(pen, least, LEFT - 6, top + height, { align: "right", fill: ink.soft, font: "10.5px" });
}

function drawAddresses(pen, ink, number, top) {
  pen.fillStyle = ink.line;
  pen.fillRect(LEFT, top + MAP, chart.width - LEFT - RIGHT, 1);
  pen.fillRect(LEFT - 1, top, 1, MAP);
  const unit = chart.y1 - chart.y0 > 4 * 2 ** 20 ? 2 ** 20 : 2 ** 10;
  const step = niceStep((chart.y1 - chart.y0) / unit, 6) * unit;
  for (let address = Math.ceil(chart.y0 / step) * step; address <= chart.y1; address += step) {
    const y = up(number, address);
    pen.fillStyle = ink.line;
    pen.fillRect(LEFT - 4, Math.round(y), 4, 1);
    if (y > top + 20) text(pen, plain(address / unit), LEFT - 7, y + 3.5, { align: "right", fill: ink.soft, font: "10.5px" });
  }
  text(pen, `address, ${unit === 2 ** 20 ? "MiB" : "KiB"}`, LEFT - 7, top + 8, { align: "right", fill: ink.soft, font: "10.5px" });
}

function niceStep(span, count) {
  const raw = span / count, power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
}

function axisTicks() {
  const span = chart.x1 - chart.x0;
  let step = niceStep(span, Math.max(3, (chart.width - LEFT - RIGHT) / 130));
  if (chart.axis === "order") step = Math.max(1, step);
  const at = [];
  for (let tick = Math.ceil(chart.x0 / step) * step; tick <= chart.x1; tick += step) at.push(tick);
  return { at, step };
}

function drawAxis(pen, ink, ticks) {
  const top = panelTop(SIDES.length - 1) + PANEL;
  for (const tick of ticks.at) {
    const name = chart.axis === "order" ? String(Math.round(tick)) : duration(Math.round(tick));
    const x = across(tick), edge = x > chart.width - RIGHT - 30;
    text(pen, name, edge ? chart.width - RIGHT : x, top + 15, { align: edge ? "right" : "center", fill: ink.soft, font: "11px" });
  }
  const [name, more] = chart.axis === "order"
    ? ["program order", ": instructions of the schedule that take time, a loop's body once"]
    : [`time under ${chart.model}`, ": a loop's body is as wide as all of its runs"];
  text(pen, chart.width > NARROW ? name + more : name, (LEFT + chart.width - RIGHT) / 2, top + 32, { align: "center", fill: ink.soft, font: "11.5px" });
}

function text(pen, words, x, y, { font = "12px", align = "left", fill, family = "sans" } = {}) {
  const families = family === "mono" ? "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" : "system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";
  pen.font = `${font} ${families}`;
  pen.textAlign = align;
  pen.fillStyle = fill;
  pen.fillText(words, x, y);
}

function chartLabel() {
  const parts = SIDES.map((side) => {
    const stays = side.boxes.filter((box) => box.kind !== 2).length;
    return `${side.title}: ${stays} stays in fast memory, peak ${bytes(side.peak)}, ${chart.model} ${duration(side.total[chart.model])}`;
  });
  return `Memory map of fast memory, time across and address up. ${parts.join(". ")}. The table below has the same.`;
}
