// The chart of the memory page: every buffer at its place, and below it how much is live.

const LIVE = 84;

const PAGE = {
  panels: PANELS,
  times: COUNT,
  height: 340,
  strips: [{ height: LIVE, names: (memory) => ["live", bytes(memory.most), "0"], draw: drawLive }],
  colours: [...DATA.kinds, ...SLUGS],
  inks: ["own", "wait", "loss"],
  loops: DATA.loops,
  upward: "place",
  empty: "Nothing is in this memory",
  find: "Find a name, shape, operation or source line",
  noun: "buffer",
  places: () => PLACES,
  axis: () => ({ whole: true, least: 4, name: "schedule", more: ": instructions in order, a loop's body once; places of temporaries are the compiler's" }),
  figures: (memory) => `${bytes(memory.total)}${memory.capacity ? ` of ${bytes(memory.capacity)}` : ""}, live at the peak ${bytes(memory.peak.live)}`,
  behind: () => {},
  above: drawMarks,
  label: chartLabel,
  boxFacts,
  timeFacts,
  sought,
};

// A column of pixels shows the most that is live in its time: what is there throughout, and on top of it the temporaries.
function drawLive(pen, ink, memory, at, top) {
  const height = (count) => (count / memory.most) * LIVE;
  const lasting = memory.lasting ??= memory.boxes.reduce((sum, box) => sum + (DATA.kinds[box.is] === "temporary" ? 0 : box.size), 0);
  const end = Math.min(chart.width - RIGHT, across(COUNT));
  for (let pixel = LEFT; pixel < end; pixel += 1) {
    const from = Math.max(0, Math.floor(unacross(pixel))), to = Math.min(COUNT, Math.max(from + 1, Math.ceil(unacross(pixel + 1))));
    let most = 0;
    for (let time = from; time < to; time += 1) most = Math.max(most, memory.live[time]);
    pen.fillStyle = ink.soft;
    pen.fillRect(pixel, top + LIVE - height(most), 1, height(most - lasting));
    pen.fillStyle = ink.own;
    pen.fillRect(pixel, top + LIVE - height(lasting), 1, height(lasting));
  }
}

function drawMarks(pen, ink, memory, number, at) {
  const top = panelTop(number) + TITLE, bottom = panelTop(number) + PANEL;
  const x = Math.round((across(at[memory.peak.time]) + across(at[memory.peak.time + 1])) / 2);
  pen.fillStyle = ink.wait;
  pen.fillRect(x - 1, top, 2, bottom - top);
  const right = x > (LEFT + chart.width) / 2;
  const words = `peak ${bytes(memory.peak.live)}`;
  mark(pen, ink, words, right ? x - 6 : x + 6, top + MAP + GAP + 12, right ? "right" : "left", ink.wait);
  const y = memory.capacity ? Math.round(up(number, memory.capacity)) : -1;
  if (y < top || y > top + MAP) return;
  pen.fillStyle = ink.loss;
  pen.fillRect(LEFT, y - 1, chart.width - LEFT - RIGHT, 2);
  mark(pen, ink, `capacity ${bytes(memory.capacity)}`, LEFT + 6, y > top + 20 ? y - 6 : y + 15, "left", ink.loss);
}

function mark(pen, ink, words, x, y, align, fill) {
  pen.lineWidth = 4;
  pen.strokeStyle = ink.paper;
  pen.lineJoin = "round";
  const style = { align, fill, font: "600 11.5px" };
  text(pen, words, x, y, style);
  pen.strokeText(words, x, y);
  text(pen, words, x, y, style);
}

function chartLabel() {
  const told = PANELS.map(({ name, boxes, peak }) => `${name}: ${boxes.length} buffers, ${bytes(peak.live)} live at the peak, at ${peak.instruction}`);
  return `Memory map, time across and place up. ${told.join(". ")}. The table below has what is live at the peak.`;
}
