// What the memory page tells of buffers and times, and what its search finds.

function boxFacts(box) {
  const facts = [
    ["is", ROLES_KNOWN ? `${DATA.kind_names[box.is]}: ${DATA.roles[box.role]}` : DATA.kind_names[box.is]],
    ["shape", shortened(box.shape, 200)],
    ["bytes", `${bytes(box.size)}, without padding ${bytes(box.plain)} (${times(padding(box))})`],
  ];
  if (box.start !== null) facts.push(["lives", box.end - box.start + 1 === COUNT ? "throughout" : `${moment(box.start)} to ${moment(box.end)}`]);
  const keeper = kept(box);
  if (keeper) facts.push(keeper);
  if (box.opcode) facts.push(["by", box.opcode]);
  if (box.what) facts.push(["what", box.what]);
  if (box.source) facts.push(["line", box.source]);
  return [box.name, facts];
}

const KEPT = { read: "read last by", argument: "read last by", donated: "new value by", output: "made by", constant: "read last by" };

// Who keeps a buffer there; null where nobody knows.
function kept({ keeper }) {
  if (!keeper) return null;
  const [why, time, loop] = keeper, carried = DATA.texts[loop] && `carried by ${DATA.texts[loop]}`;
  if (time === null) return carried ? ["kept", carried] : null;
  return [KEPT[DATA.texts[why]], [moment(time), carried].filter(Boolean).join(", ")];
}

function timeFacts(memory, time) {
  const there = memory.blocks[time >> 5].filter((box) => box.start <= time && time <= box.end);
  const largest = there.filter((box) => DATA.kinds[box.is] === "temporary").sort((one, other) => other.size - one.size);
  return [DATA.instructions[time], [
    ["time", `${time} of ${COUNT}`],
    ["live", `${bytes(memory.live[time])} in ${there.length} buffers`],
    ...largest.slice(0, 3).map((box) => ["largest", `${box.name}, ${bytes(box.size)}`]),
  ]];
}

function sought(words) {
  return new Set(PANELS.flatMap((memory) => memory.boxes.filter((box) => box.text.includes(words)).map((box) => box.same)));
}

function handleMemory() {
  for (const input of document.querySelectorAll('input[name="by"]')) {
    input.checked = input.value === shown.by;
    input.addEventListener("change", () => {
      colourBy(input.value);
      fillLegend(legend());
      redraw();
    });
  }
}
