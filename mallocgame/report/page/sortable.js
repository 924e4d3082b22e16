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
