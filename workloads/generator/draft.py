"""A problem that is being written: instructions one by one, values with their uses, what aliases, what calls what."""

from __future__ import annotations

from dataclasses import dataclass, field

from mallocgame.problem.schema import Computation, Group, Instruction, Problem, ShapeIndex, Target, Tensor, Use

ALIGNMENT = 256
"""Of fast memory, bytes."""


@dataclass
class Value:
    """A tensor to be; ``uses`` by time: bytes accessed, operand number, earliest start of a copy."""

    time: int
    index: ShapeIndex
    size: int
    defined_bytes: float
    uses: dict[int, tuple[int, float, int | None]] = field(default_factory=dict)
    live_to: int = 0
    fixed: str | None = None
    hbm_definition: str | None = None


class Draft:
    """Instructions, values and computations so far; a value is called by its number.

    Attributes:
        computations: None for those that are reserved and not closed yet.
        instructions: in program order.
        values: in order of their making.
    """

    def __init__(self) -> None:
        self.computations: list[Computation | None] = []
        self.instructions: list[Instruction] = []
        self.values: list[Value] = []
        self._leader: list[int] = []

    def reserve_computation(self) -> int:
        """The number of a computation whose instructions follow."""
        self.computations.append(None)
        return len(self.computations) - 1

    def emit(self, computation: int, opcode: str, compute: float = 0.0, total: float = 0.0, free: bool = False) -> int:
        """Add an instruction; returns its time."""
        time = len(self.instructions)
        self.instructions.append(Instruction(f"{opcode}.{time}", opcode, computation, compute, total, free))
        return time

    def define(self, time: int, size: int, written: float, index: ShapeIndex = (), hbm: str | None = None) -> int:
        """Add a value; ``hbm`` says why its definition has to be in HBM."""
        self.values.append(Value(time, index, size, written, live_to=time, hbm_definition=hbm))
        self._leader.append(len(self.values) - 1)
        return len(self.values) - 1

    def use(self, value: int, time: int, operand: int, accessed: float, after: int | None) -> None:
        """Let an instruction read a value, which then lives until there."""
        self.values[value].uses[time] = (operand, accessed, after)
        self.values[value].live_to = max(self.values[value].live_to, time)

    def alias(self, one: int, other: int) -> None:
        """Join the alias groups of two values."""
        self._leader[self.find(other)] = self.find(one)

    def find(self, value: int) -> int:
        """A value that stands for the whole alias group."""
        while self._leader[value] != value:
            value = self._leader[value]
        return value

    def is_in(self, value: int, computation: int) -> bool:
        """Whether a value is defined in a computation."""
        return self.instructions[self.values[value].time].computation == computation

    def problem(self, name: str, target: Target) -> Problem:
        """The problem; ``name`` is its fingerprint and module."""
        members: dict[int, list[int]] = {}
        for number in range(len(self.values)):
            members.setdefault(self.find(number), []).append(number)
        ordered = sorted(members.values())
        group_of = {member: number for number, group in enumerate(ordered) for member in group}
        tensors = tuple(self._tensor(id, group_of[id]) for id in range(len(self.values)))
        groups = tuple(Group(tuple(group), max(tensors[id].size for id in group)) for group in ordered)
        computations = tuple(computation for computation in self.computations if computation is not None)
        return Problem(name, name, target, computations, tuple(self.instructions), tensors, groups, "analytic")

    def _tensor(self, id: int, group: int) -> Tensor:
        value = self.values[id]
        return Tensor(
            id=id,
            instruction=self.instructions[value.time].name,
            index=value.index,
            size=value.size,
            time=value.time,
            live=(value.time, value.live_to),
            defined_bytes=value.defined_bytes,
            uses=tuple(
                Use(time, ((operand, ()),), accessed, after)
                for time, (operand, accessed, after) in sorted(value.uses.items())
            ),
            group=group,
            fixed=value.fixed,
            hbm_definition=value.hbm_definition,
        )
