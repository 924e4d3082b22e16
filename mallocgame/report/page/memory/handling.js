// What the memory page tells of buffers and times, and what its search finds.

function boxFacts(box) {
  const facts = [
    ["is", DATA.kind_names[box.kind]],
    ["shape", shortened(box.shape, 200)],
    ["bytes", `${bytes(box.size)}, without padding ${bytes(box.plain)} (${times(padding(box))})`],
  ];
  if (box.start !== null) facts.push(["lives", box.end - box.start + 1 === COUNT ? "throughout" : `${moment(box.start)} to ${moment(box.end)}`]);
  if (box.opcode) facts.push(["by", box.opcode]);
  if (box.what) facts.push(["what", box.what]);
  if (box.source) facts.push(["line", box.source]);
  return [box.name, facts];
}

function timeFacts(memory, time) {
  const there = memory.blocks[time >> 5].filter((box) => box.start <= time && time <= box.end);
  const largest = there.filter((box) => DATA.kinds[box.kind] === "temporary").sort((one, other) => other.size - one.size);
  return [DATA.instructions[time], [
    ["time", `${time} of ${COUNT}`],
    ["live", `${bytes(memory.live[time])} in ${there.length} buffers`],
    ...largest.slice(0, 3).map((box) => ["largest", `${box.name}, ${bytes(box.size)}`]),
  ]];
}

function sought(words) {
  return new Set(PANELS.flatMap((memory) => memory.boxes.filter((box) => box.text.includes(words)).map((box) => box.same)));
}
