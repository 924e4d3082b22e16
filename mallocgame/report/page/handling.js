// Pointer, wheel and keys on the chart; what is under the pointer, what is picked, what is searched for.

const LEAST_ORDER = 4, LEAST_TIME = 1000, LEAST_BYTES = 2048;
let queued = false;

function redraw() {
  if (queued) return;
  queued = true;
  requestAnimationFrame(() => {
    queued = false;
    draw();
  });
}

function clampView() {
  const whole = wholeWidth(), least = Math.min(whole, chart.axis === "order" ? LEAST_ORDER : LEAST_TIME);
  const width = Math.min(whole, Math.max(least, chart.x1 - chart.x0));
  chart.x0 = Math.min(Math.max(0, chart.x0), whole - width);
  chart.x1 = chart.x0 + width;
  const height = Math.min(DATA.fast_bytes, Math.max(LEAST_BYTES, chart.y1 - chart.y0));
  chart.y0 = Math.min(Math.max(0, chart.y0), DATA.fast_bytes - height);
  chart.y1 = chart.y0 + height;
}

function zoomTime(factor, centre = (chart.x0 + chart.x1) / 2) {
  const whole = wholeWidth(), least = chart.axis === "order" ? LEAST_ORDER : LEAST_TIME;
  const width = Math.min(whole, Math.max(Math.min(whole, least), (chart.x1 - chart.x0) * factor));
  const share = (centre - chart.x0) / (chart.x1 - chart.x0);
  chart.x0 = centre - share * width;
  chart.x1 = chart.x0 + width;
  clampView();
  redraw();
}

function zoomAddresses(factor, centre = (chart.y0 + chart.y1) / 2) {
  const height = Math.min(DATA.fast_bytes, Math.max(LEAST_BYTES, (chart.y1 - chart.y0) * factor));
  const share = (centre - chart.y0) / (chart.y1 - chart.y0);
  chart.y0 = centre - share * height;
  chart.y1 = chart.y0 + height;
  clampView();
  redraw();
}

function move(timeShare, addressShare) {
  const width = (chart.x1 - chart.x0) * timeShare, height = (chart.y1 - chart.y0) * addressShare;
  Object.assign(chart, { x0: chart.x0 + width, x1: chart.x1 + width, y0: chart.y0 + height, y1: chart.y1 + height });
  clampView();
  redraw();
}

// What is at a place of the canvas: the side, the time, the box if any.
function under(x, y) {
  if (x < LEFT || x > chart.width - RIGHT) return null;
  const number = SIDES.findIndex((_, side) => y >= panelTop(side) + TITLE && y < panelTop(side) + PANEL);
  if (number < 0) return null;
  const side = SIDES[number], at = places(side), place = unacross(x);
  if (place > at[COUNT]) return null;
  const time = Math.min(COUNT - 1, timeAt(at, place));
  const mapTop = panelTop(number) + TITLE;
  const box = y < mapTop + MAP ? boxAt(side, time, chart.y0 + ((mapTop + MAP - y) / MAP) * (chart.y1 - chart.y0)) : null;
  return { side, time, box, x, inMap: y < mapTop + MAP };
}

// The smallest box at a time and an address; within two pixels of it, for small ones.
function boxAt(side, time, address) {
  const slack = (2 * (chart.y1 - chart.y0)) / MAP;
  let best = null, bestRank = Infinity;
  for (const box of side.blocks[time >> 5]) {
    if (time < box.start || time > box.end) continue;
    const outside = Math.max(box.offset - address, address - box.offset - box.size, 0);
    const rank = outside > 0 ? 1e18 + outside : box.size;
    if (outside <= slack && rank < bestRank) [best, bestRank] = [box, rank];
  }
  return best;
}

function boxFacts(box) {
  const side = box.side, line = side.models[chart.model];
  const lasts = line.total[box.end + 1] - line.total[box.start];
  const count = ORDER[box.end + 1] - ORDER[box.start];
  return [box.name, [
    ["where", side.name],
    ["state", DATA.kinds[box.kind]],
    ["size", bytes(box.size)],
    ["address", `${bytes(box.offset)} (0x${box.offset.toString(16)})`],
    ["from", `${DATA.instructions.name[box.start]} (${box.start})`],
    ["to", `${DATA.instructions.name[box.end]} (${box.end})`],
    ["lasts", `${duration(lasts)} under ${chart.model}, ${count} instruction${count === 1 ? "" : "s"}`],
  ]];
}

function instructionFacts(side, time) {
  const line = side.models[chart.model], runs = line.runs[time];
  const whole = line.seconds[time] + line.stall[time];
  const share = (value) => (whole ? `${((100 * value) / whole).toFixed(0)} %` : "0");
  const moves = movesAt(time);
  return [DATA.instructions.name[time], [
    ["where", side.name],
    ["opcode", DATA.opcodes[DATA.instructions.opcode[time]]],
    ["time", `${duration(whole)} under ${chart.model}${runs > 1 ? `, ${runs} runs` : ""}`],
    ["HBM", `${share(line.hbm[time])} for its own bytes, ${share(line.copies[time] + line.stall[time])} for copies`],
    ["waits", duration(line.stall[time])],
    ...moves.slice(0, 3).map((change) => ["moved", moveText(change)]),
  ]];
}

function pairs([name, facts]) {
  const entries = facts.map(([key, value]) => element("div", {}, element("span", {}, key), element("span", {}, value)));
  return [element("b", {}, name), element("div", { class: "pairs" }, ...entries)];
}

function showTip(at, x, y) {
  const tip = byId("tip");
  if (!at || (at.inMap && !at.box)) {
    tip.hidden = true;
    return;
  }
  tip.replaceChildren(...pairs(at.box ? boxFacts(at.box) : instructionFacts(at.side, at.time)));
  tip.hidden = false;
  const left = x + 18 + tip.offsetWidth > chart.width ? x - 18 - tip.offsetWidth : x + 18;
  tip.style.left = `${Math.max(0, left)}px`;
  tip.style.top = `${Math.min(y + 14, HEIGHT - tip.offsetHeight)}px`;
}

function pick(box) {
  chart.picked = box;
  byId("picked").replaceChildren(...(box ? pairs(boxFacts(box)) : []));
  redraw();
}

// Pick a box and bring it into view, with room around it.
function show(box) {
  const at = places(box.side), from = at[box.start], to = at[box.end + 1];
  if (from < chart.x0 || to > chart.x1 || (to - from) * 25 < chart.x1 - chart.x0) {
    const room = Math.max(2 * (to - from), wholeWidth() / 60);
    Object.assign(chart, { x0: from - room, x1: to + room });
  }
  if (box.offset < chart.y0 || box.offset + box.size > chart.y1) {
    Object.assign(chart, { y0: 0, y1: wholeHeight() });
  }
  clampView();
  pick(box);
}

function showInstruction(time) {
  const at = places(SIDES[SIDES.length - 1]), room = wholeWidth() / 40;
  Object.assign(chart, { x0: at[time] - room, x1: at[time + 1] + room });
  clampView();
  pick(null);
  byId("picked").replaceChildren(...pairs(instructionFacts(SIDES[SIDES.length - 1], time)));
  chart.hover = { side: SIDES[SIDES.length - 1], time, box: null, x: across((at[time] + at[time + 1]) / 2) };
  byId("map").scrollIntoView();
  redraw();
}

// The boxes that the keys go through, in the order of the program: those in view, or those that were searched for.
function nextBox(step) {
  const all = SIDES.flatMap((side) => side.boxes).filter((box) => box.kind !== 2 || !chart.found);
  const wanted = chart.found ? all.filter((box) => chart.found.has(box.tensor)) : all.filter(inView);
  if (!wanted.length) return;
  const number = wanted.indexOf(chart.picked);
  const next = number < 0 ? (step > 0 ? 0 : wanted.length - 1) : (number + step + wanted.length) % wanted.length;
  if (chart.found) {
    show(wanted[next]);
    tellFound(next + 1, wanted.length);
  } else {
    pick(wanted[next]);
  }
}

function inView(box) {
  const at = places(box.side);
  return at[box.end + 1] > Math.max(at[box.start], chart.x0) && at[box.start] < chart.x1 && box.offset < chart.y1 && box.offset + box.size > chart.y0;
}

function search(words) {
  const sought = words.trim().toLowerCase();
  chart.found = null;
  if (sought) {
    chart.found = new Set();
    for (const box of SIDES.flatMap((side) => side.boxes)) {
      if (box.name.toLowerCase().includes(sought)) chart.found.add(box.tensor);
    }
    for (let time = 0; time < COUNT; time += 1) {
      if (!DATA.instructions.name[time].toLowerCase().includes(sought)) continue;
      for (const { tensor } of movesAt(time)) chart.found.add(tensor);
    }
  }
  tellFound(0, chart.found ? SIDES.flatMap((side) => side.boxes).filter((box) => box.kind !== 2 && chart.found.has(box.tensor)).length : 0);
  redraw();
}

function tellFound(number, count) {
  byId("found").textContent = !chart.found ? "" : !count ? "not in these maps" : number ? `${number} of ${count}` : `${count} stay${count === 1 ? "" : "s"}; Enter goes through them`;
}

function setAxis(axis, model) {
  const old = places(SIDES[0]), from = timeAt(old, chart.x0), to = timeAt(old, chart.x1);
  const whole = chart.x0 <= 0 && chart.x1 >= wholeWidth();
  Object.assign(chart, { axis, model, hover: null });
  byId("tip").hidden = true;
  const at = places(SIDES[0]);
  Object.assign(chart, whole ? { x0: 0, x1: wholeWidth() } : { x0: at[from], x1: Math.max(at[to], at[from] + 1) });
  clampView();
  redraw();
}

function onKey(event) {
  const keys = {
    ArrowLeft: () => move(-0.2, 0), ArrowRight: () => move(0.2, 0), ArrowUp: () => move(0, 0.2), ArrowDown: () => move(0, -0.2),
    "+": () => zoomTime(0.6), "=": () => zoomTime(0.6), "-": () => zoomTime(1 / 0.6), "]": () => zoomAddresses(0.6), "[": () => zoomAddresses(1 / 0.6),
    "0": () => { showWhole(); redraw(); }, Home: () => { showWhole(); redraw(); },
    Enter: () => nextBox(1), Backspace: () => nextBox(-1), Escape: clear,
  };
  if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
}

function clear() {
  byId("search").value = "";
  search("");
  chart.hover = null;
  byId("tip").hidden = true;
  pick(null);
}

function handleChart() {
  const canvas = chart.canvas;
  let drag = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * chart.width) / box.width, ((event.clientY - box.top) * HEIGHT) / box.height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, y: event.clientY, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag) {
      const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
      drag.moved ||= Math.hypot(dx, dy) > 3;
      if (drag.moved) {
        Object.assign(drag, { x: event.clientX, y: event.clientY });
        byId("tip").hidden = true;
        move(-dx / (chart.width - LEFT - RIGHT), dy / MAP);
        return;
      }
    }
    chart.hover = under(...place(event));
    showTip(chart.hover, ...place(event));
    redraw();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drag && !drag.moved) {
      const at = under(...place(event));
      pick(at?.box ?? null);
      if (at && !at.inMap) byId("picked").replaceChildren(...pairs(instructionFacts(at.side, at.time)));
    }
    drag = null;
  });
  canvas.addEventListener("pointerleave", () => {
    chart.hover = null;
    byId("tip").hidden = true;
    redraw();
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
    event.preventDefault();
    const [x, y] = place(event), factor = Math.exp(Math.max(-60, Math.min(60, event.deltaY || event.deltaX)) / 180);
    if (event.shiftKey) {
      const number = SIDES.findIndex((_, side) => y < panelTop(side) + PANEL + BETWEEN);
      const top = panelTop(Math.max(0, number)) + TITLE;
      zoomAddresses(factor, chart.y0 + (Math.min(1, Math.max(0, (top + MAP - y) / MAP))) * (chart.y1 - chart.y0));
    } else {
      zoomTime(factor, unacross(x));
    }
  }, { passive: false });
  canvas.addEventListener("dblclick", () => { showWhole(); redraw(); });
  canvas.addEventListener("keydown", onKey);
  canvas.addEventListener("focus", () => redraw());
  byId("zoom-in").addEventListener("click", () => zoomTime(0.5));
  byId("zoom-out").addEventListener("click", () => zoomTime(2));
  byId("zoom-reset").addEventListener("click", () => { showWhole(); redraw(); });
  byId("search").addEventListener("input", (event) => search(event.target.value));
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") nextBox(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") clear();
    else return;
    event.preventDefault();
  });
  for (const input of document.querySelectorAll('input[name="axis"], input[name="model"]')) {
    input.addEventListener("change", () => {
      const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
      const otherModel = chosen("model") !== chart.model;
      setAxis(chosen("axis"), chosen("model"));
      if (otherModel) fillInstructions();
    });
  }
}
