"""Small problems with round numbers: 1 byte takes 1 s over HBM, a tenth of that from or to fast memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from mallocgame.problem.schema import Computation, Group, Instruction, Problem, Target, Tensor, Use

TARGET = Target("toy", 1, 1000, 1, 1.0, 10.0, 10.0, 0.5, 10**6)


@dataclass
class Builder:
    """Collects instructions and tensors by name; a tensor is called as its instruction.

    Attributes:
        callers: name of the calling instruction of each computation but the entry.
    """

    computations: list[tuple[str, str, int]]
    callers: dict[str, str] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def add(
        self,
        name: str,
        computation: int = 0,
        compute: float = 0.0,
        reads: dict[str, float] | None = None,
        writes: float | None = None,
        size: int | None = None,
        other: float = 0.0,
        free: bool = False,
        cycles: int | None = None,
        opcode: str = "fusion",
    ) -> None:
        """An instruction that reads so many bytes of these tensors and writes so many of a tensor of its own."""
        time = len(self.instructions)
        reads = reads or {}
        total = sum(reads.values()) + (writes or 0.0) + other
        self.instructions.append(Instruction(name, opcode, computation, compute, total, free, cycles))
        for number, (read, count) in enumerate(reads.items()):
            tensor = self.tensors[read]
            inside = self.instructions[tensor.time].computation == computation
            use = Use(time, ((number, ()),), count, tensor.time if inside else None)
            self.tensors[read] = Tensor(
                tensor.id, read, (), tensor.size, tensor.time, (tensor.time, time), tensor.defined_bytes,
                (*tensor.uses, use), tensor.group, tensor.fixed, tensor.hbm_definition,
            )  # fmt: skip
        if writes is not None:
            id = len(self.tensors)
            hbm = "entry parameter" if opcode == "parameter" else None
            made = Tensor(id, name, (), size or int(writes), time, (time, time), writes, (), id, None, hbm)
            self.tensors[name] = made

    def parameter(self, name: str, size: int) -> None:
        """An entry parameter."""
        self.add(name, writes=0.0, size=size, free=True, opcode="parameter")

    def build(self) -> Problem:
        """The problem."""
        times = {instruction.name: time for time, instruction in enumerate(self.instructions)}
        computations = []
        for number, (name, kind, trips) in enumerate(self.computations):
            inside = [time for time, step in enumerate(self.instructions) if step.computation == number]
            caller = times[self.callers[name]] if name in self.callers else None
            first = inside[0] if caller is not None else 0
            computations.append(Computation(name, first, inside[-1], kind, caller, trips))
        tensors = tuple(self.tensors.values())
        groups = tuple(Group((tensor.id,), tensor.size) for tensor in tensors)
        return Problem("f", "m", TARGET, tuple(computations), tuple(self.instructions), tensors, groups, "analytic")


def straight() -> Builder:
    """A builder with an entry alone."""
    return Builder([("main", "entry", 1)])
