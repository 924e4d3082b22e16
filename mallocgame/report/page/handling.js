// Pointer, wheel and keys on the chart; what is under the pointer, what is picked, what is searched for.

const LEAST_SHARE = Math.min(1, 2048 / Math.max(...PAGE.panels.map(({ most }) => most)));
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
  const whole = wholeWidth(), width = Math.min(whole, Math.max(PAGE.axis().least, chart.x1 - chart.x0));
  chart.x0 = Math.min(Math.max(0, chart.x0), whole - width);
  chart.x1 = chart.x0 + width;
  const height = Math.min(1, Math.max(LEAST_SHARE, chart.y1 - chart.y0));
  chart.y0 = Math.min(Math.max(0, chart.y0), 1 - height);
  chart.y1 = chart.y0 + height;
}

function zoomTime(factor, centre = (chart.x0 + chart.x1) / 2) {
  const whole = wholeWidth();
  const width = Math.min(whole, Math.max(PAGE.axis().least, (chart.x1 - chart.x0) * factor));
  const share = (centre - chart.x0) / (chart.x1 - chart.x0);
  chart.x0 = centre - share * width;
  chart.x1 = chart.x0 + width;
  clampView();
  redraw();
}

function zoomAddresses(factor, centre = (chart.y0 + chart.y1) / 2) {
  const height = Math.min(1, Math.max(LEAST_SHARE, (chart.y1 - chart.y0) * factor));
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

// What is at a place of the canvas: the panel, the time, the box if any.
function under(x, y) {
  if (x < LEFT || x > chart.width - RIGHT) return null;
  const number = PAGE.panels.findIndex((_, panel) => y >= panelTop(panel) + TITLE && y < panelTop(panel) + PANEL);
  if (number < 0) return null;
  const panel = PAGE.panels[number], at = PAGE.places(panel), place = unacross(x);
  if (place > at[PAGE.times]) return null;
  const time = Math.min(PAGE.times - 1, timeAt(at, place));
  const mapTop = panelTop(number) + TITLE, inMap = y < mapTop + MAP;
  return { panel, time, box: inMap ? boxAt(panel, time, shareAt(number, y) * panel.most) : null, x, inMap };
}

// The share of what a map may show that is at a height of the canvas.
function shareAt(number, y) {
  const mapTop = panelTop(number) + TITLE;
  return chart.y0 + Math.min(1, Math.max(0, (mapTop + MAP - y) / MAP)) * (chart.y1 - chart.y0);
}

// The smallest box at a time and an address; within two pixels of it, for small ones.
function boxAt(panel, time, address) {
  const slack = (2 * (chart.y1 - chart.y0) * panel.most) / MAP;
  let best = null, bestRank = Infinity;
  for (const box of panel.blocks[time >> 5]) {
    if (time < box.start || time > box.end) continue;
    const outside = Math.max(box.offset - address, address - box.offset - box.size, 0);
    const rank = outside > 0 ? 1e18 + outside : box.size;
    if (outside <= slack && rank < bestRank) [best, bestRank] = [box, rank];
  }
  return best;
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
  tip.replaceChildren(...pairs(at.box ? PAGE.boxFacts(at.box) : PAGE.timeFacts(at.panel, at.time)));
  tip.hidden = false;
  const left = x + 18 + tip.offsetWidth > chart.width ? x - 18 - tip.offsetWidth : x + 18;
  tip.style.left = `${Math.max(0, left)}px`;
  tip.style.top = `${Math.min(y + 14, HEIGHT - tip.offsetHeight)}px`;
}

function pick(box) {
  chart.picked = box;
  byId("picked").replaceChildren(...(box ? pairs(PAGE.boxFacts(box)) : []));
  redraw();
}

// Pick a box and bring it into view, with room around it.
function show(box) {
  const at = PAGE.places(box.panel), from = at[box.start], to = at[box.end + 1];
  if (from < chart.x0 || to > chart.x1 || (to - from) * 25 < chart.x1 - chart.x0) {
    const room = Math.max(2 * (to - from), wholeWidth() / 60);
    Object.assign(chart, { x0: from - room, x1: to + room });
  }
  if (box.offset < chart.y0 * box.panel.most || box.offset + box.size > chart.y1 * box.panel.most) {
    Object.assign(chart, { y0: 0, y1: wholeHeight() });
  }
  clampView();
  pick(box);
}

// The boxes that the keys go through, in the order of the program: those in view, or those that were searched for.
function nextBox(step) {
  const wanted = chart.found ? foundBoxes() : PAGE.panels.flatMap((panel) => panel.boxes).filter(inView);
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
  const at = PAGE.places(box.panel), most = box.panel.most;
  return at[box.end + 1] > Math.max(at[box.start], chart.x0) && at[box.start] < chart.x1 && box.offset < chart.y1 * most && box.offset + box.size > chart.y0 * most;
}

function search(words) {
  const wanted = words.trim().toLowerCase();
  chart.found = wanted ? PAGE.sought(wanted) : null;
  tellFound(0, chart.found ? foundBoxes().length : 0);
  redraw();
}

function foundBoxes() {
  return PAGE.panels.flatMap((panel) => panel.boxes).filter((box) => !box.flight && chart.found.has(box.same));
}

function tellFound(number, count) {
  byId("found").textContent = !chart.found ? "" : !count ? "not in these maps" : number ? `${number} of ${count}` : `${count} ${PAGE.noun}${count === 1 ? "" : "s"}; Enter goes through them`;
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
      if (at && !at.inMap) byId("picked").replaceChildren(...pairs(PAGE.timeFacts(at.panel, at.time)));
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
      const number = PAGE.panels.findIndex((_, panel) => y < panelTop(panel) + PANEL + BETWEEN);
      zoomAddresses(factor, shareAt(Math.max(0, number), y));
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
  byId("search").placeholder = byId("search").ariaLabel = PAGE.find;
  byId("search").addEventListener("input", (event) => search(event.target.value));
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") nextBox(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") clear();
    else return;
    event.preventDefault();
  });
}
