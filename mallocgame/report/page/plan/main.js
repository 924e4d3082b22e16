// Fills a plan's page once.

function fillFigures() {
  const [before, after] = SIDES;
  for (const model of MODELS) {
    const was = before.total[model], is = after.total[model], bound = DATA.bounds[model];
    byId("figures").append(card(model === "E" ? "E: the emitter's cycles" : "M: the formula of memory space assignment", duration(is),
      was ? [is <= was ? "gain" : "loss", percent(is / was - 1)] : null, [
        [before.short, was, duration(was), "own"], [after.short, is, duration(is), "written"],
        bound === null ? ["bound", 0, "none known", "line"] : [model === "E" ? "bound, estimated" : "bound", bound, duration(bound), "line"],
      ]));
  }
  byId("figures").append(card("Fast memory at its peak", bytes(after.peak), null, [
    [before.short, before.peak, bytes(before.peak), "own"], [after.short, after.peak, bytes(after.peak), "written"],
    ["capacity", DATA.fast_bytes, bytes(DATA.fast_bytes), "line"],
  ]));
}

function legend() {
  const entries = [["written", DATA.kinds[0]], ["fetched", DATA.kinds[1]], ["flight", DATA.kinds[2]], ["own", "HBM: the instructions' own bytes"], ["copies", "HBM: copies"], ["wait", "waiting for copies"]];
  if (DATA.reserved.length) entries.push(["reserved", "reserved by instructions"]);
  if (DATA.computations.some(({ kind }) => kind === "body")) entries.push(["loop", "inside a loop body"]);
  return entries;
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

fillHead();
fillFigures();
fillWords();
fillLegend(legend());
fillInstructions();
fillStays();
fillFlags();
fillProvenance();
handlePlan();
startChart();
performance.mark("ready");
