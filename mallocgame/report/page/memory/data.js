// The data of the memory page: buffers as boxes, by the memory that they are in.

const COUNT = DATA.instructions.length;
const PLACES = Float64Array.from({ length: COUNT + 1 }, (_, time) => time);
const SLUGS = DATA.roles.map((role) => role.replaceAll(" ", "-"));
const shown = { by: "kind" };
let parts = 0;

for (const memory of DATA.memories) {
  const { name, kind, size, plain_size, start, end, offset, shape, opcode, what, source, role, keeper } = memory.buffers;
  memory.title = memory.name;
  memory.boxes = name.map((_, number) => ({
    panel: memory, same: parts++, flight: false, name: name[number], kind: kind[number], is: kind[number], role: role[number], size: size[number],
    plain: plain_size[number], start: start[number], end: end[number], offset: offset[number], shape: DATA.texts[shape[number]],
    opcode: DATA.texts[opcode[number]], what: DATA.texts[what[number]], source: DATA.texts[source[number]], keeper: keeper[number],
  }));
  memory.at_peak = memory.peak.buffers.map((number, row) => ({ box: memory.boxes[number], size: memory.peak.sizes[row] }));
  memory.boxes.sort((one, other) => other.size - one.size || one.start - other.start); // the small ones are drawn on top
  for (const box of memory.boxes) box.text = `${box.name}\n${box.shape}\n${box.what}\n${box.source}\n${DATA.kind_names[box.is]}\n${DATA.roles[box.role]}`.toLowerCase();
  // What does not fit is seen whole, what nearly fills its memory up to the capacity.
  memory.most = Math.max(memory.total, memory.capacity && memory.capacity < 1.25 * memory.total ? memory.capacity : 0) || 1;
}

const ROLES_KNOWN = DATA.memories.some(({ boxes }) => boxes.some(({ role }) => !["other", "not known"].includes(DATA.roles[role])));

// A box has the colour of its kind or of its role.
function colourBy(by) {
  shown.by = by;
  for (const box of DATA.memories.flatMap(({ boxes }) => boxes)) box.kind = by === "kind" ? box.is : DATA.kinds.length + box.role;
}

const PANELS = DATA.memories.filter((memory) => memory.live);

function padding(box) {
  return box.plain ? box.size / box.plain : 1;
}

function times(count) {
  return `${plain(Number(count.toPrecision(3)))} x`;
}

function moment(time) {
  return `${DATA.instructions[time]} (${time})`;
}
