// The data of a plan's page, and what is computed from it.

const COUNT = DATA.instructions.name.length;
const SIDES = DATA.sides;
const MODELS = ["E", "M"];
const shown = { axis: "order", model: "E" };

function tensorName(tensor) {
  return DATA.instructions.name[DATA.tensors.time[tensor]] + (DATA.tensors.index[tensor] ?? "");
}

const ORDER = cumulative(DATA.instructions.free.map((free) => 1 - free));

for (const side of SIDES) {
  for (const model of MODELS) {
    const line = side.models[model];
    line.total = cumulative(line.seconds.map((seconds, time) => seconds + line.stall[time]));
    line.own = cumulative(line.hbm);
    line.copied = cumulative(line.copies.map((copies, time) => copies + line.stall[time]));
    line.longest = Math.max(0, ...line.stall);
  }
  const { kind, start, end, offset, size, tensor } = side.stays;
  side.boxes = kind.map((_, number) => ({
    panel: side, kind: kind[number], start: start[number], end: end[number], flight: kind[number] === 2,
    offset: offset[number], size: size[number], same: tensor[number], name: tensorName(tensor[number]),
  }));
}

// What moved at an instruction, in words; the largest first.
function movesAt(time) {
  const moves = (DATA.moves[time] ?? []).map(([tensor, writes, fast]) => ({ tensor, writes, fast, size: DATA.tensors.size[tensor] }));
  return moves.sort((one, other) => other.size - one.size);
}

function moveText({ tensor, writes, fast, size }) {
  return `${writes ? "writes" : "reads"} ${tensorName(tensor)} (${bytes(size)}) ${writes ? "to" : "from"} ${fast ? "fast memory" : "HBM"}`;
}
