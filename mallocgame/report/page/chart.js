// The chart: for each of a page's panels a map of memory and strips below it, all on one axis.
//
// PAGE is what a page says of its own: panels (title, boxes, most: the bytes that its map may show), height of a map,
// strips, colours of the boxes' kinds, inks that it draws with, loops, places(panel): where each time is on the axis,
// axis(), figures(panel), behind and above(pen, ink, panel, number, at), empty, label(), and for pointer and search
// boxFacts(box), timeFacts(panel, time), sought(words), find and noun. A box has panel, kind, start, end, offset, size,
// name, same (what it is a part of) and flight (whether it is only on its way).

const LEFT = 82, RIGHT = 14, TITLE = 26, MAP = PAGE.height, GAP = 7, BETWEEN = 20, AXIS = 38;
const PANEL = TITLE + MAP + PAGE.strips.reduce((sum, { height }) => sum + GAP + height, 0);
const HEIGHT = PAGE.panels.length * PANEL + (PAGE.panels.length - 1) * BETWEEN + AXIS;
const LETTER = 6.5; // widest a letter of a label is, in pixels
const NARROW = 560; // CSS pixels: a narrower chart says less
const SPARE = 1.25; // as in the pictures: the address axis shows a little more than what is used
const INKS = ["paper", "ink", "soft", "line", "grid", "loop", "edge", "mark", "accent", "flight-line", ...PAGE.inks, ...PAGE.colours.flatMap((name) => [name, `${name}-ink`])];

const chart = {
  canvas: byId("chart"),
  x0: 0, x1: 1,  // of places
  y0: 0, y1: 1,  // of each panel's most
  hover: null,   // { panel, time, box, x }
  picked: null,  // a box
  found: null,   // Set of what boxes are a part of, that the search matches
  width: 0,
  scale: 1,
};

// Boxes by blocks of times, so that a pointer looks at those near it alone.
for (const panel of PAGE.panels) {
  panel.blocks = Array.from({ length: (PAGE.times >> 5) + 1 }, () => []);
  for (const box of panel.boxes) {
    for (let block = box.start >> 5; block <= box.end >> 5; block += 1) panel.blocks[block].push(box);
  }
}

function wholeWidth() {
  return Math.max(1e-9, ...PAGE.panels.map((panel) => PAGE.places(panel)[PAGE.times]));
}

// As a share of what a map may show.
function wholeHeight() {
  const used = Math.max(0, ...PAGE.panels.map((panel) => panel.boxes.reduce((most, box) => Math.max(most, box.offset + box.size), 0) / panel.most));
  return used ? Math.min(1, SPARE * used) : 1;
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
  return panelTop(number) + TITLE + MAP - ((address / PAGE.panels[number].most - chart.y0) / (chart.y1 - chart.y0)) * MAP;
}

function resize(width, scale) {
  chart.width = width;
  chart.scale = scale;
  chart.canvas.width = Math.round(width * scale);
  chart.canvas.height = Math.round(HEIGHT * scale);
}

function draw() {
  const pen = chart.canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const ink = Object.fromEntries(INKS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  pen.setTransform(chart.scale, 0, 0, chart.scale, 0, 0);
  pen.fillStyle = ink.paper;
  pen.fillRect(0, 0, chart.width, HEIGHT);
  const ticks = axisTicks();
  PAGE.panels.forEach((panel, number) => drawPanel(pen, ink, panel, number, ticks));
  drawAxis(pen, ink, ticks);
  chart.canvas.setAttribute("aria-label", PAGE.label());
}

function drawPanel(pen, ink, panel, number, ticks) {
  const top = panelTop(number), right = chart.width - RIGHT, mapTop = top + TITLE, bottom = top + PANEL;
  const at = PAGE.places(panel);
  const strips = [];
  let next = mapTop + MAP + GAP;
  for (const strip of PAGE.strips) {
    strips.push([strip, next]);
    next += strip.height + GAP;
  }
  text(pen, panel.title, LEFT, top + 15, { font: "600 13px", fill: ink.ink });
  if (chart.width > NARROW) text(pen, PAGE.figures(panel), right, top + 15, { fill: ink.soft, align: "right" });

  pen.save();
  pen.beginPath();
  pen.rect(LEFT, mapTop, right - LEFT, bottom - mapTop);
  pen.clip();
  pen.fillStyle = ink.loop;
  for (const { start, end } of PAGE.loops) {
    const left = across(at[start]), width = across(at[end + 1]) - left;
    pen.fillRect(left, mapTop, width, MAP);
    for (const [{ height }, y] of strips) pen.fillRect(left, y, width, height);
  }
  pen.fillStyle = ink.grid;
  for (const tick of ticks.at) pen.fillRect(Math.round(across(tick)), mapTop, 1, bottom - mapTop);
  for (const [strip, y] of strips) strip.draw(pen, ink, panel, at, y);
  pen.save();
  pen.beginPath();
  pen.rect(LEFT, mapTop, right - LEFT, MAP);
  pen.clip();
  PAGE.behind(pen, ink, panel, number, at);
  drawBoxes(pen, ink, panel, number, at);
  pen.restore();
  PAGE.above(pen, ink, panel, number, at);
  pen.restore();

  if (!panel.boxes.length) {
    text(pen, PAGE.empty, (LEFT + right) / 2, mapTop + MAP / 2, { align: "center", fill: ink.soft, font: "14px" });
  }
  if (chart.hover && chart.hover.panel === panel) {
    pen.fillStyle = ink.soft;
    pen.fillRect(Math.round(chart.hover.x), mapTop, 1, bottom - mapTop);
  }
  drawAddresses(pen, ink, panel, number, mapTop);
  for (const [strip, y] of strips) frame(pen, ink, y, strip.height, strip.names(panel));
}

function drawBoxes(pen, ink, panel, number, at) {
  const edges = [];
  const hatch = hatching(pen, ink);
  const right = chart.width - RIGHT;
  const low = chart.y0 * panel.most, high = chart.y1 * panel.most;
  for (const box of panel.boxes) {
    const left = across(at[box.start]), end = across(at[box.end + 1]);
    if (end <= left || end < LEFT || left > right || box.offset > high || box.offset + box.size < low) continue;
    const y = up(number, box.offset + box.size), height = Math.max(0.4, up(number, box.offset) - y);
    const width = Math.max(0.4, end - left);
    pen.globalAlpha = chart.found && !chart.found.has(box.same) ? 0.13 : 1;
    pen.fillStyle = ink[PAGE.colours[box.kind]];
    pen.fillRect(left, y, width, height);
    if (box.flight && width > 5 && height > 3) {
      pen.fillStyle = hatch;
      pen.fillRect(left, y, width, height);
    }
    if (width > 2.5 && height > 2.5) {
      pen.strokeStyle = ink.edge;
      pen.lineWidth = Math.min(1, width / 6, height / 6);
      pen.strokeRect(left, y, width, height);
    }
    if (!box.flight) label(pen, ink, box, Math.max(left, LEFT), y, Math.min(end, right), height);
    if (chart.hover?.box?.same === box.same || chart.picked?.same === box.same) edges.push([left, y, width, height, box]);
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
    font: "10.5px", fill: ink[`${PAGE.colours[box.kind]}-ink`], family: "mono",
  });
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

function drawAddresses(pen, ink, panel, number, top) {
  pen.fillStyle = ink.line;
  pen.fillRect(LEFT, top + MAP, chart.width - LEFT - RIGHT, 1);
  pen.fillRect(LEFT - 1, top, 1, MAP);
  const low = chart.y0 * panel.most, high = chart.y1 * panel.most;
  const [unit, name] = high - low > 4 * 2 ** 30 ? [2 ** 30, "GiB"] : high - low > 4 * 2 ** 20 ? [2 ** 20, "MiB"] : [2 ** 10, "KiB"];
  const step = niceStep((high - low) / unit, 6) * unit;
  for (let address = Math.ceil(low / step) * step; address <= high; address += step) {
    const y = up(number, address);
    pen.fillStyle = ink.line;
    pen.fillRect(LEFT - 4, Math.round(y), 4, 1);
    if (y > top + 20) text(pen, plain(address / unit), LEFT - 7, y + 3.5, { align: "right", fill: ink.soft, font: "10.5px" });
  }
  text(pen, `${PAGE.upward}, ${name}`, LEFT - 7, top + 8, { align: "right", fill: ink.soft, font: "10.5px" });
}

function niceStep(span, count) {
  const raw = span / count, power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
}

function axisTicks() {
  let step = niceStep(chart.x1 - chart.x0, Math.max(3, (chart.width - LEFT - RIGHT) / 130));
  if (PAGE.axis().whole) step = Math.max(1, step);
  const at = [];
  for (let tick = Math.ceil(chart.x0 / step) * step; tick <= chart.x1; tick += step) at.push(tick);
  return { at, step };
}

function drawAxis(pen, ink, ticks) {
  const top = panelTop(PAGE.panels.length - 1) + PANEL, axis = PAGE.axis();
  for (const tick of ticks.at) {
    const name = axis.whole ? String(Math.round(tick)) : duration(Math.round(tick));
    const x = across(tick), edge = x > chart.width - RIGHT - 30;
    text(pen, name, edge ? chart.width - RIGHT : x, top + 15, { align: edge ? "right" : "center", fill: ink.soft, font: "11px" });
  }
  text(pen, chart.width > NARROW ? axis.name + axis.more : axis.name, (LEFT + chart.width - RIGHT) / 2, top + 32, { align: "center", fill: ink.soft, font: "11.5px" });
}

function text(pen, words, x, y, { font = "12px", align = "left", fill, family = "sans" } = {}) {
  const families = family === "mono" ? "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" : "system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";
  pen.font = `${font} ${families}`;
  pen.textAlign = align;
  pen.fillStyle = fill;
  pen.fillText(words, x, y);
}
