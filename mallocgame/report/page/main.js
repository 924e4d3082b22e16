// Fills the page once, and draws again when its size or colours change.

function fillHead() {
  byId("title").textContent = DATA.title;
  byId("about").textContent = DATA.about;
  byId("status").replaceChildren(element("span", { class: DATA.confirmed ? "chip sure" : "chip unsure" }, DATA.status));
}

function card(title, big, change, bars) {
  const most = Math.max(...bars.map(([, value]) => value)) || 1;
  const grid = element("div", { class: "bars" });
  for (const [name, value, words, fill] of bars) {
    const bar = drawing("svg", { viewBox: "0 0 100 9", preserveAspectRatio: "none", "aria-hidden": "true" },
      drawing("rect", { x: 0, y: 0, width: 100, height: 9, fill: "var(--grid)" }),
      drawing("rect", { x: 0, y: 0, width: (100 * value) / most, height: 9, fill: `var(--${fill})` }));
    grid.append(element("span", {}, name), bar, element("span", {}, words));
  }
  const badge = change === null ? [] : [element("small", { class: change.good ? "gain" : "loss" }, change.words)];
  return element("div", { class: "card" }, element("h3", {}, title), element("div", { class: "big" }, big, ...badge), grid);
}

function fillFigures() {
  const [before, after] = SIDES;
  for (const model of MODELS) {
    const was = before.total[model], is = after.total[model], bound = DATA.bounds[model];
    byId("figures").append(card(model === "E" ? "E: the emitter's cycles" : "M: the formula of memory space assignment", duration(is),
      was ? { good: is <= was, words: percent(is / was - 1) } : null, [
        [before.short, was, duration(was), "own"], [after.short, is, duration(is), "written"],
        bound === null ? ["bound", 0, "none known", "line"] : [model === "E" ? "bound, estimated" : "bound", bound, duration(bound), "line"],
      ]));
  }
  byId("figures").append(card("Fast memory at its peak", bytes(after.peak), null, [
    [before.short, before.peak, bytes(before.peak), "own"], [after.short, after.peak, bytes(after.peak), "written"],
    ["capacity", DATA.fast_bytes, bytes(DATA.fast_bytes), "line"],
  ]));
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

function fillLegend() {
  const entries = [["written", DATA.kinds[0]], ["fetched", DATA.kinds[1]], ["flight", DATA.kinds[2]], ["own", "HBM: the instructions' own bytes"], ["copies", "HBM: copies"], ["wait", "waiting for copies"]];
  if (DATA.reserved.length) entries.push(["reserved", "reserved by instructions"]);
  if (DATA.computations.some(({ kind }) => kind === "body")) entries.push(["loop", "inside a loop body"]);
  for (const [name, words] of entries) {
    const box = element("i");
    box.style.background = `var(--${name})`;
    byId("legend").append(element("li", {}, box, words));
  }
}

function fillFlags() {
  const section = byId("flags");
  if (DATA.options === null) {
    section.append(element("p", { class: "empty" }, DATA.no_options));
    return;
  }
  const text = element("pre", { tabindex: "0", "aria-label": "Compiler options as JSON" }, DATA.options);
  const done = element("output", { "aria-live": "polite", class: "hint" });
  const copy = element("button", { type: "button", id: "copy", onclick: async () => {
    try {
      await navigator.clipboard.writeText(DATA.options);
      done.textContent = " copied";
    } catch {
      getSelection().selectAllChildren(text);
      done.textContent = document.execCommand("copy") ? " copied" : " selected: copy with Ctrl+C";
    }
  } }, "Copy");
  section.append(element("p", {}, `${DATA.option_count} options for `, element("code", {}, "lowered.compile(compiler_options=…)"), ". For ", element("code", {}, "LIBTPU_INIT_ARGS"), " or Python: ", element("code", {}, DATA.export_command)), copy, done, text);
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

const PRINTED_WIDTH = 900, PRINTED_SCALE = 2.5;

fillHead();
fillFigures();
fillWords();
fillLegend();
fillInstructions();
fillStays();
fillFlags();
fillProvenance();
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
performance.mark("ready");
