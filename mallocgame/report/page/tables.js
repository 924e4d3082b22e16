// Tables that sort by any column and make their rows as they are asked for.

const FIRST_ROWS = 40, MORE_ROWS = 200;

// columns: { name, number, value(row) to sort by, cell(row) a string or a node, kind }
function sortable(caption, columns, rows, sort) {
  let shown = FIRST_ROWS, column = columns[sort.column], down = sort.down;
  const body = element("tbody"), head = element("tr");
  const more = element("button", { type: "button", class: "more", onclick: () => { shown += MORE_ROWS; fill(); } });
  const headers = columns.map((each) => {
    const button = element("button", { type: "button", onclick: () => {
      down = each === column ? !down : Boolean(each.number);
      column = each;
      shown = FIRST_ROWS;
      fill();
    } }, each.name);
    const header = element("th", { scope: "col", class: each.number ? "number" : null }, button);
    head.append(header);
    return header;
  });
  function fill() {
    const compare = (one, other) => (column.number ? one - other : String(one).localeCompare(String(other)));
    const sorted = [...rows].sort((one, other) => (down ? -1 : 1) * compare(column.value(one), column.value(other)));
    headers.forEach((header, number) => {
      if (columns[number] === column) header.setAttribute("aria-sort", down ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    });
    body.replaceChildren(...sorted.slice(0, shown).map((row) =>
      element("tr", {}, ...columns.map((each) => element("td", { class: each.number ? "number" : each.kind ?? null }, each.cell(row))))));
    more.hidden = shown >= rows.length;
    more.textContent = `Show ${Math.min(MORE_ROWS, rows.length - shown)} more of ${rows.length}`;
  }
  fill();
  const table = element("table", {}, element("caption", { class: "hint" }, caption), element("thead", {}, head), body);
  return [element("div", { class: "scroll" }, table), more];
}

function signed(ps) {
  const word = ps > 0 ? "gain" : "loss";
  return element("span", { class: word }, `${ps > 0 ? "−" : "+"}${duration(Math.abs(ps))}`);
}

function instructionRows() {
  const [before, after] = SIDES.map((side) => side.models[chart.model]);
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
  return sortable(`Under ${chart.model}, all runs together; waiting for copies is part of the time.`, [
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
    { name: "Under", value: (box) => box.side.name, cell: (box) => box.side.name },
    { name: "State", value: (box) => DATA.kinds[box.kind], cell: (box) => DATA.kinds[box.kind] },
    { name: "Size", number: true, value: (box) => box.size, cell: (box) => bytes(box.size) },
    { name: "Address", number: true, value: (box) => box.offset, cell: (box) => bytes(box.offset) },
    { name: "From", value: (box) => box.start, number: true, cell: (box) => name(box.start) },
    { name: "To", value: (box) => box.end, number: true, cell: (box) => name(box.end) },
  ], boxes, { column: 3, down: true }) : [element("p", { class: "empty" }, "Nothing is in fast memory.")]));
}
