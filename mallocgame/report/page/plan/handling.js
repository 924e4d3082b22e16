// What a plan's page tells of boxes and instructions, what its search finds, and its choice of axis and model.

function boxFacts(box) {
  const side = box.panel, line = side.models[shown.model];
  const lasts = line.total[box.end + 1] - line.total[box.start];
  const count = ORDER[box.end + 1] - ORDER[box.start];
  return [box.name, [
    ["where", side.name],
    ["state", DATA.kinds[box.kind]],
    ["size", bytes(box.size)],
    ["address", `${bytes(box.offset)} (0x${box.offset.toString(16)})`],
    ["from", `${DATA.instructions.name[box.start]} (${box.start})`],
    ["to", `${DATA.instructions.name[box.end]} (${box.end})`],
    ["lasts", `${duration(lasts)} under ${shown.model}, ${count} instruction${count === 1 ? "" : "s"}`],
  ]];
}

function instructionFacts(side, time) {
  const line = side.models[shown.model], runs = line.runs[time];
  const whole = line.seconds[time] + line.stall[time];
  const share = (value) => (whole ? `${((100 * value) / whole).toFixed(0)} %` : "0");
  const moves = movesAt(time);
  return [DATA.instructions.name[time], [
    ["where", side.name],
    ["opcode", DATA.opcodes[DATA.instructions.opcode[time]]],
    ["time", `${duration(whole)} under ${shown.model}${runs > 1 ? `, ${runs} runs` : ""}`],
    ["HBM", `${share(line.hbm[time])} for its own bytes, ${share(line.copies[time] + line.stall[time])} for copies`],
    ["waits", duration(line.stall[time])],
    ...moves.slice(0, 3).map((change) => ["moved", moveText(change)]),
  ]];
}

function showInstruction(time) {
  const at = places(SIDES[SIDES.length - 1]), room = wholeWidth() / 40;
  Object.assign(chart, { x0: at[time] - room, x1: at[time + 1] + room });
  clampView();
  pick(null);
  byId("picked").replaceChildren(...pairs(instructionFacts(SIDES[SIDES.length - 1], time)));
  chart.hover = { panel: SIDES[SIDES.length - 1], time, box: null, x: across((at[time] + at[time + 1]) / 2) };
  byId("map").scrollIntoView();
  redraw();
}

function sought(words) {
  const found = new Set();
  for (const box of SIDES.flatMap((side) => side.boxes)) {
    if (box.name.toLowerCase().includes(words)) found.add(box.same);
  }
  for (let time = 0; time < COUNT; time += 1) {
    if (!DATA.instructions.name[time].toLowerCase().includes(words)) continue;
    for (const { tensor } of movesAt(time)) found.add(tensor);
  }
  return found;
}

function setAxis(axis, model) {
  const old = places(SIDES[0]), from = timeAt(old, chart.x0), to = timeAt(old, chart.x1);
  const whole = chart.x0 <= 0 && chart.x1 >= wholeWidth();
  Object.assign(shown, { axis, model });
  chart.hover = null;
  byId("tip").hidden = true;
  const at = places(SIDES[0]);
  Object.assign(chart, whole ? { x0: 0, x1: wholeWidth() } : { x0: at[from], x1: Math.max(at[to], at[from] + 1) });
  clampView();
  redraw();
}

function handlePlan() {
  for (const input of document.querySelectorAll('input[name="axis"], input[name="model"]')) {
    input.addEventListener("change", () => {
      const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
      const otherModel = chosen("model") !== shown.model;
      setAxis(chosen("axis"), chosen("model"));
      if (otherModel) fillInstructions();
    });
  }
}
