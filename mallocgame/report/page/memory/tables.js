// The tables of the memory page.

const SHAPE = 64; // letters of one that are shown

function shortened(words, most) {
  return words.length <= most ? words : `${words.slice(0, most - 1)}…`;
}

function lines({ what, source }) {
  return what && source ? [what, element("br"), source] : [what || source];
}

function peakRows() {
  return DATA.memories.flatMap((memory) => memory.at_peak);
}

function fillPeak() {
  const section = byId("peak"), all = peakRows(), several = DATA.memories.length > 1;
  const box = element("div", { id: "live" });
  const find = element("input", { type: "search", placeholder: PAGE.find, "aria-label": PAGE.find, oninput: () => refill() });
  for (const { name, peak } of DATA.memories) {
    const where = peak.time === null ? "listed" : `live at ${moment(peak.time)}`;
    section.append(element("p", {}, `${name}: ${bytes(peak.live)} ${where}; ${bytes(peak.rest)} ${peak.time === null ? "not listed" : "hold nothing then"}.`));
  }
  function refill() {
    const words = find.value.trim().toLowerCase();
    const rows = all.filter((row) => !words || row.box.text.includes(words));
    box.replaceChildren(...(rows.length ? peakTable(rows, several) : [element("p", { class: "empty" }, "No buffer has that.")]));
  }
  refill();
  section.append(element("div", { class: "filters" }, find), box);
}

function peakTable(rows, several) {
  const sum = rows.reduce((bytes, row) => bytes + row.size, 0);
  const name = (row) => row.box.name;
  return sortable(`${rows.length} buffers, ${bytes(sum)}; each byte is counted once.`, [
    { name: "Buffer", kind: "name", value: name, cell: (row) => row.box.start === null ? name(row) : element("button", { type: "button", onclick: () => goTo(row.box) }, name(row)) },
    ...(several ? [{ name: "In", value: (row) => row.box.panel.name, cell: (row) => row.box.panel.name }] : []),
    { name: "Bytes", number: true, value: (row) => row.size, cell: (row) => bytes(row.size) },
    { name: "Padding", number: true, value: (row) => padding(row.box), cell: (row) => times(padding(row.box)) },
    { name: "Is", value: (row) => DATA.kind_names[row.box.is], cell: (row) => DATA.kind_names[row.box.is] },
    ...(ROLES_KNOWN ? [{ name: "Role", value: (row) => DATA.roles[row.box.role], cell: (row) => DATA.roles[row.box.role] }] : []),
    { name: "Shape", kind: "shape", value: (row) => row.box.shape, cell: (row) => shortened(row.box.shape, SHAPE) },
    { name: "Times", number: true, value: (row) => row.box.start, cell: (row) => row.box.start === null ? "" : `${row.box.start}–${row.box.end}` },
    { name: "Kept", kind: "moves", value: (row) => row.box.end, number: false, cell: (row) => (kept(row.box) ?? []).join(" ") },
    { name: "What and where", kind: "moves", value: (row) => row.box.what, cell: (row) => element("span", {}, ...lines(row.box)) },
  ], rows, { column: several ? 2 : 1, down: true });
}

function goTo(box) {
  show(box);
  chart.canvas.focus();
}

function fillSources() {
  const totals = new Map();
  for (const { box, size } of peakRows()) {
    const place = `${box.panel.name}\n${box.source || `no line: ${DATA.kind_names[box.is]}`}`;
    const row = totals.get(place) ?? { memory: box.panel, line: place.split("\n")[1], size: 0, count: 0 };
    row.size += size;
    row.count += 1;
    totals.set(place, row);
  }
  byId("sources").append(...sortable("Shares are of the memory's total.", [
    { name: "Source line", kind: "name", value: (row) => row.line, cell: (row) => row.line },
    { name: "In", value: (row) => row.memory.name, cell: (row) => row.memory.name },
    { name: "Buffers", number: true, value: (row) => row.count, cell: (row) => String(row.count) },
    { name: "Bytes", number: true, value: (row) => row.size, cell: (row) => bytes(row.size) },
    { name: "Share", number: true, value: (row) => row.size / row.memory.total, cell: (row) => `${(100 * row.size / row.memory.total).toFixed(1)} %` },
  ], [...totals.values()], { column: 3, down: true }));
}
