// The table of results: filters, sorting by a column, and a program's story below its row. The data is in the page.
"use strict";
(() => {
  const place = document.querySelector(".mg-results");
  const stories = JSON.parse(document.getElementById("mg-stories").textContent);
  const shown = { target: "", family: "", phase: "", verdict: "", text: "", column: 2, down: true };

  const element = (name, attributes = {}, ...children) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...children);
    return made;
  };
  const ratio = value => value === null ? "-" : value.toFixed(3);
  const seconds = value => value === null ? "not known"
    : value >= 1 ? `${value.toPrecision(4)} s` : value >= 1e-3 ? `${(value * 1e3).toPrecision(4)} ms`
    : `${(value * 1e6).toPrecision(4)} us`;
  const bytes = value => value === null ? "not known" : `${(value / 2 ** 20).toFixed(1)} MiB`;
  const honoured = ([kept, sites]) => sites === null ? "" : `${kept}/${sites}`;
  const key = story => `${story.program}-${story.target.replace(" ", "")}`;

  const COLUMNS = [
    ["program", story => story.program], ["target", story => story.target],
    ["XLA / E", story => story.faster[0], ratio], ["XLA / M", story => story.faster[1], ratio],
    ["verdict", story => story.verdict], ["answer", story => story.kind ?? story.failure],
    ["honoured", story => story.honoured[1], (_, story) => honoured(story.honoured)],
    ["MSA off, E", story => story.off && story.off[0], value => ratio(value ?? null)],
    ["family", story => story.family], ["phase", story => story.phase],
  ];

  const select = name => {
    const values = [...new Set(stories.map(story => story[name]))];
    if (name !== "target") values.sort();
    const made = element("select", { name }, element("option", { value: "" }, "all"),
      ...values.map(value => element("option", { value }, value)));
    made.onchange = () => { shown[name] = made.value; draw(); };
    return element("label", {}, name, made);
  };
  const search = element("input", { type: "search", name: "text", placeholder: "name" });
  search.oninput = () => { shown.text = search.value.toLowerCase(); draw(); };
  const count = element("output");
  const form = element("form", { onsubmit: () => false }, ...["target", "family", "phase", "verdict"].map(select),
    element("label", {}, "search", search), count);

  const head = element("tr"), body = element("tbody");
  COLUMNS.forEach(([title, , words], number) => {
    const button = element("button", { type: "button" }, title);
    button.onclick = () => {
      shown.down = shown.column === number ? !shown.down : Boolean(words);
      shown.column = number;
      draw();
    };
    head.append(element("th", { className: words ? "number" : "" }, button));
  });
  place.append(form, element("div", { className: "wide" },
    element("table", { className: "mg-table" }, element("thead", {}, head), body)));

  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));

  function draw() {
    const found = stories.filter(story => ["target", "family", "phase", "verdict"].every(
      name => !shown[name] || story[name] === shown[name]) && story.program.includes(shown.text));
    const value = COLUMNS[shown.column][1];
    found.sort((a, b) => {
      const [left, right] = [value(a), value(b)];
      if (left === null || right === null) return (left === null) - (right === null);
      return compare(left, right) * (shown.down ? -1 : 1);
    });
    [...head.children].forEach((cell, number) => cell.setAttribute("aria-sort",
      number !== shown.column ? "none" : shown.down ? "descending" : "ascending"));
    count.value = `${found.length} of ${stories.length}`;
    body.replaceChildren(...found.map(line));
  }

  function line(story) {
    const row = element("tr", { id: key(story) });
    COLUMNS.forEach(([title, value, words], number) => {
      const found = value(story), text = words ? words(found, story) : String(found ?? "");
      const cell = element("td", { className: words ? "number" : title === "verdict" ? story.verdict : "" });
      if (number === 0) {
        const button = element("button", { type: "button" }, text);
        button.onclick = () => toggle(row, story);
        button.setAttribute("aria-expanded", "false");
        cell.append(button);
      } else cell.append(text);
      row.append(cell);
    });
    return row;
  }

  function toggle(row, story) {
    const open = row.nextElementSibling?.classList.contains("story");
    row.querySelector("button").setAttribute("aria-expanded", String(!open));
    if (open) row.nextElementSibling.remove();
    else {
      row.after(element("tr", { className: "story" }, element("td", { colSpan: COLUMNS.length }, ...told(story))));
      history.replaceState(null, "", `#${key(story)}`);
    }
  }

  function told(story) {
    const paragraph = (...parts) => element("p", {}, ...parts);
    const strong = text => element("strong", {}, text);
    const parts = [
      paragraph(strong(`${story.program} for ${story.target}: `), `${story.about}. ${story.source}.`),
      paragraph(strong("What is hard: "), `${story.hard}.`),
    ];
    if (story.failure !== null) return [...parts, paragraph(strong("No figures: "), story.failure)];
    const line = (name, pair, more = "") => [name, ...pair.map(seconds), more];
    const split = story.split === null ? "" : `memory split of ${story.split} KiB`;
    parts.push(table(["", "E", "M", ""], [
      line("XLA's default", story.default),
      line("answer", story.answer, [story.kind, split].filter(Boolean).join(", ")),
      line("waits for copies in it", story.stall),
      line("relaxed bound", story.bound, "under M no plan is below it; under E an estimate, which plans may beat"),
      ...(story.proven === null ? [] : [["proven bound", "", seconds(story.proven),
        "within the answer's memory split"]]),
    ]));
    const facts = [`fast memory at most ${bytes(story.fast)} in use`, `HBM ${bytes(story.hbm)}`];
    if (story.honoured[1] !== null) facts.push(`honoured ${honoured(story.honoured)} definitions, uses and copies`);
    if (story.closed !== null) facts.push(`${(story.closed * 100).toFixed(1)} % of the proven headroom under M closed`);
    if (story.off) facts.push(`MSA switched off: XLA / E ${ratio(story.off[0])}, XLA / M ${ratio(story.off[1])}`);
    if (story.tuned) facts.push(`flag tuning: ${ratio(story.tuned[0])}, ${ratio(story.tuned[1])}`);
    parts.push(paragraph(strong("Confirmed: "), `${facts.join("; ")}.`));
    if (story.tried.length) parts.push(table(["compiled", "XLA / E", "XLA / M", "honoured", "verdict"],
      story.tried.map(one => [one.about, ratio(one.faster[0]), ratio(one.faster[1]), honoured(one.honoured),
        one.failure ?? one.verdict ?? ""])));
    const versions = Object.entries(story.versions).map(([name, version]) => `${name} ${version}`).join(", ");
    parts.push(paragraph(`${story.compiles} compiles, ${Math.round(story.seconds)} s in all` +
      `${story.search ? `, search at most ${story.search} s` : ""}; ${versions}. Make it again: `,
      element("code", {}, story.replay)));
    return parts;
  }

  const table = (titles, rows) => element("div", { className: "wide" }, element("table",
    { className: "mg-table" }, element("thead", {}, element("tr", {}, ...titles.map((title, number) =>
      element("th", { className: number && number < 3 ? "number" : "" }, title)))),
    element("tbody", {}, ...rows.map(cells => element("tr", {}, ...cells.map((text, number) =>
      element("td", { className: number && number < 3 ? "number" : "" }, text)))))));

  draw();
  const asked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (asked?.parentElement === body) {
    asked.querySelector("button").click();
    asked.scrollIntoView();
  }
})();
