// What every page has: its head, cards of figures, the legend, provenance, and a chart that fits its place.

const PRINTED_WIDTH = 900, PRINTED_SCALE = 2.5;

function fillHead() {
  byId("title").textContent = DATA.title;
  byId("about").textContent = DATA.about;
  byId("status").replaceChildren(element("span", { class: DATA.confirmed ? "chip sure" : "chip unsure" }, DATA.status));
}

// badge: null, or [class, words]
function card(title, big, badge, bars) {
  const most = Math.max(...bars.map(([, value]) => value)) || 1;
  const grid = element("div", { class: "bars" });
  for (const [name, value, words, fill] of bars) {
    const bar = drawing("svg", { viewBox: "0 0 100 9", preserveAspectRatio: "none", "aria-hidden": "true" },
      drawing("rect", { x: 0, y: 0, width: 100, height: 9, fill: "var(--grid)" }),
      drawing("rect", { x: 0, y: 0, width: (100 * value) / most, height: 9, fill: `var(--${fill})` }));
    grid.append(element("span", {}, name), bar, element("span", {}, words));
  }
  const after = badge === null ? [] : [element("small", { class: badge[0] }, badge[1])];
  return element("div", { class: "card" }, element("h3", {}, title), element("div", { class: "big" }, big, ...after), grid);
}

function fillWords() {
  const text = element("div", { class: "columns" });
  for (const [title, sentences] of DATA.words) {
    text.append(element("h3", {}, title));
    let list = null;
    for (const sentence of sentences) {
      if (!sentence.startsWith("- ")) {
        list = null;
        text.append(element("p", {}, sentence));
        continue;
      }
      if (!list) text.append(list = element("ul"));
      list.append(element("li", {}, sentence.slice(2)));
    }
  }
  byId("words").append(text);
}

// entries: [name of a colour, words]
function fillLegend(entries) {
  byId("legend").replaceChildren();
  for (const [name, words] of entries) {
    const box = element("i");
    box.style.background = `var(--${name})`;
    byId("legend").append(element("li", {}, box, words));
  }
}

function fillProvenance() {
  const list = document.querySelector("#provenance dl");
  for (const [name, value] of DATA.provenance) list.append(element("dt", {}, name), element("dd", { class: "mono" }, value));
  byId("notes").append(...DATA.notes.map((note) => element("li", {}, note)));
}

function fit() {
  const width = chart.canvas.parentElement.clientWidth;
  if (!width) return;
  chart.canvas.style.height = `${HEIGHT}px`;
  resize(width, Math.min(3, window.devicePixelRatio || 1));
  draw();
}

function startChart() {
  showWhole();
  handleChart();
  fit();
  new ResizeObserver(fit).observe(chart.canvas.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("printing");
    chart.hover = null;
    byId("tip").hidden = true;
    chart.canvas.style.height = "auto";
    resize(PRINTED_WIDTH, PRINTED_SCALE);
    draw();
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printing");
    fit();
  });
}
