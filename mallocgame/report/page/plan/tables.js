// The tables of a plan's page.

function signed(ps) {
  const word = ps > 0 ? "gain" : "loss";
  return element("span", { class: word }, `${ps > 0 ? "−" : "+"}${duration(Math.abs(ps))}`);
}

function instructionRows() {
  const [before, after] = SIDES.map((side) => side.models[shown.model]);
  const rows = [];
  for (let time = 0; time < COUNT; time += 1) {
    const was = before.seconds[time] + before.stall[time], is = after.seconds[time] + after.stall[time];
    if (was !== is) rows.push({ time, was, is, gain: was - is, waits: after.stall[time] - before.stall[time], runs: after.runs[time] });
  }
  return rows;
}

function instructionTable(rows) {
  const name = (row) => DATA.instructions.name[row.time];
  const opcode = (row) => DATA.opcodes[DATA.instructions.opcode[row.time]];
  const moves = (row) => {
    const all = movesAt(row.time), told = all.slice(0, 2).map(moveText);
    if (all.length > 2) told.push(`${all.length - 2} more`);
    return told.join("; ");
  };
  return sortable(`Under ${shown.model}, all runs together; waiting for copies is part of the time.`, [
    { name: "Instruction", kind: "name", value: name, cell: (row) => element("button", { type: "button", onclick: () => showInstruction(row.time) }, name(row)) },
    { name: "Opcode", value: opcode, cell: opcode },
    { name: "Runs", number: true, value: (row) => row.runs, cell: (row) => String(row.runs) },
    { name: SIDES[0].short, number: true, value: (row) => row.was, cell: (row) => duration(row.was) },
    { name: SIDES[1].short, number: true, value: (row) => row.is, cell: (row) => duration(row.is) },
    { name: "Change", number: true, value: (row) => row.gain, cell: (row) => signed(row.gain) },
    { name: "of it waiting", number: true, value: (row) => -row.waits, cell: (row) => (row.waits ? signed(-row.waits) : "") },
    { name: "What moved", kind: "moves", value: (row) => movesAt(row.time).length, cell: moves },
  ], rows, { column: 5, down: true });
}

function fillInstructions() {
  const section = byId("instructions"), words = section.querySelector("input")?.value ?? "", kind = section.querySelector("select")?.value ?? "all";
  const all = instructionRows();
  const box = element("div", { id: "gains" });
  const choose = element("select", { "aria-label": "Which instructions", onchange: () => refill() },
    ...[["all", `gains and losses (${all.length})`], ["gain", `gains (${all.filter((row) => row.gain > 0).length})`], ["loss", `losses (${all.filter((row) => row.gain < 0).length})`]]
      .map(([value, name]) => element("option", { value }, name)));
  const find = element("input", { type: "search", placeholder: "Name of an instruction or a moved tensor", "aria-label": "Name of an instruction or a moved tensor", oninput: () => refill() });
  choose.value = kind;
  find.value = words;
  function refill() {
    const sought = find.value.trim().toLowerCase();
    const rows = all.filter((row) => (choose.value === "all" || (row.gain > 0) === (choose.value === "gain"))
      && (!sought || DATA.instructions.name[row.time].toLowerCase().includes(sought) || movesAt(row.time).some(({ tensor }) => tensorName(tensor).toLowerCase().includes(sought))));
    box.replaceChildren(...(rows.length ? instructionTable(rows) : [element("p", { class: "empty" }, "No instruction has another time.")]));
  }
  refill();
  section.replaceChildren(section.querySelector("h2"), element("div", { class: "filters" }, choose, find), box);
}

function fillStays() {
  const boxes = SIDES.flatMap((side) => side.boxes);
  const name = (time) => `${DATA.instructions.name[time]} (${time})`;
  byId("stays").append(...(boxes.length ? sortable("Every stay in fast memory; a copy in flight counts for itself.", [
    { name: "Tensor", kind: "name", value: (box) => box.name, cell: (box) => element("button", { type: "button", onclick: () => { show(box); chart.canvas.focus(); } }, box.name) },
    { name: "Under", value: (box) => box.panel.name, cell: (box) => box.panel.name },
    { name: "State", value: (box) => DATA.kinds[box.kind], cell: (box) => DATA.kinds[box.kind] },
    { name: "Size", number: true, value: (box) => box.size, cell: (box) => bytes(box.size) },
    { name: "Address", number: true, value: (box) => box.offset, cell: (box) => bytes(box.offset) },
    { name: "From", value: (box) => box.start, number: true, cell: (box) => name(box.start) },
    { name: "To", value: (box) => box.end, number: true, cell: (box) => name(box.end) },
  ], boxes, { column: 3, down: true }) : [element("p", { class: "empty" }, "Nothing is in fast memory.")]));
}
