"""What is live when most of a memory is in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from mallocgame.report.memory.flow import Flow
from mallocgame.report.memory.graph import Graph
from mallocgame.report.memory.keepers import Keepers
from mallocgame.report.memory.kinds import kind_of
from mallocgame.report.memory.lives import Lives
from mallocgame.report.memory.passes import op_name_of
from mallocgame.report.memory.places import Lived, holding, peak_time
from mallocgame.report.memory.roles import Roles
from mallocgame.report.memory.use import Buffer, Kind, Peak, copy_of
from mallocgame.report.peak import source_of
from xla_dump_parser import Allocation, ArrayShape, AssignedValue, SourceLine, SourceLines, format_shape
from xla_dump_parser.hlo import HloModule, Instruction
from xla_dump_parser.shapes import element_bits

_COPIES = frozenset({"copy", "copy-start"})


def peak_of(allocations: Sequence[Allocation], memory_space: int, module: HloModule, lives: Lives) -> Peak:
    """The peak of one memory.

    Args:
        allocations: of the module.
        memory_space: n of S(n).
        module: after memory space assignment.
        lives: of the module.

    Raises:
        BadInputError: an allocation of no known kind.
        xla_dump_parser.ParseError: the module's tables of source lines are damaged.
    """
    own = [allocation for allocation in allocations if allocation.memory_space == memory_space]
    temporary = [
        [Lived(value, lives.of(value)) for value in allocation.values]
        for allocation in own
        if kind_of(allocation) == "temporary"
    ]
    time = peak_time(temporary, len(lives.schedule.steps))
    describe = Describer(module, lives)
    whole = (0, len(lives.schedule.steps) - 1)
    buffers = []
    for allocation in own:
        kind = kind_of(allocation)
        if kind != "temporary" and allocation.values:
            values = [Lived(value, lives.of(value)) for value in allocation.values]
            holder = _filling(values) if allocation.parameter is None else min(values, key=lambda one: one.live[0])
            buffers.append(describe.buffer(replace(holder, live=whole), kind, allocation.size))
    for values in temporary:
        buffers += [describe.buffer(lived, "temporary", size) for lived, size in holding(values, time)]
    total = sum(allocation.size for allocation in own)
    buffers.sort(key=lambda buffer: (-buffer.size, buffer.name))
    used = sum(buffer.size for buffer in buffers)
    return Peak(memory_space, time, lives.schedule.steps[time].name, tuple(buffers), total - used)


def _filling(values: Sequence[Lived]) -> Lived:
    """Of the values of one allocation the largest, for smaller ones only use its place; of these the last."""
    return max(values, key=lambda one: (one.value.size, one.live[0]))


def name_of(value: AssignedValue) -> str:
    """``Buffer.name`` of the place that a value has."""
    index = f"{{{','.join(map(str, value.index))}}}" if value.index else ""
    return f"{value.instruction}{index}"


class Describer:
    """Says of values what they are and where they come from."""

    def __init__(self, module: HloModule, lives: Lives) -> None:
        self._lives = lives
        self._schedule = lives.schedule
        self._lines = SourceLines(module)
        flow = Flow(Graph(lives.schedule, lives.dataflow, module))
        self._roles = Roles(module, lives, flow)
        self._keepers = Keepers(lives, flow, self._lines)
        self._others = {
            step.name: step for computation in module.computations.values() for step in computation.instructions
        }

    def buffer(self, lived: Lived, kind: Kind, size: int) -> Buffer:
        """A place that a value has, as a record; ``size`` is of the place."""
        value = lived.value
        step = self._maker(value)
        array = value.shape if isinstance(value.shape, ArrayShape) else None
        return Buffer(
            name=name_of(value),
            kind=kind,
            shape=format_shape(value.shape),
            dtype="" if array is None else array.dtype,
            size=size,
            plain_size=size if array is None else min(size, (prod(array.dims) * element_bits(array) + 7) // 8),
            opcode="" if step is None else step.opcode,
            what="" if step is None else self._what(step),
            source=None if step is None else self._source(step),
            live=lived.live,
            role=self._roles.of(value, kind),
            kept=self._keepers.of(value, kind, lived.live),
        )

    def _maker(self, value: AssignedValue) -> Instruction | None:
        """The instruction that makes a value; of what a loop carries, the last with a source line that shares it."""
        step = self._step(value.instruction)
        if not value.phi:
            return step
        others = (self._schedule.steps[time] for time in reversed(self._lives.makers(value)))
        return next((other for other in others if source_of(self._lines, other)), step)

    def frames(self, value: AssignedValue) -> tuple[SourceLine, ...]:
        """The lines of the user's program that a value comes from, innermost first; empty where the text has none."""
        step = self._maker(value)
        if step is None:
            return ()
        copied = self._copied(step)
        return self._lines.of(step) or (() if copied is None else self._lines.of(copied))

    def _source(self, step: Instruction) -> str | None:
        """Its source line; of a copy that has none, that of what it copies."""
        copied = self._copied(step)
        return source_of(self._lines, step) or (None if copied is None else source_of(self._lines, copied))

    def _what(self, step: Instruction) -> str:
        """Its ``op_name``; of a copy that has none, what it copies."""
        named = op_name_of(step)
        copied = self._copied(step)
        return named if named or copied is None else copy_of(op_name_of(copied) or copied.name)

    def _copied(self, step: Instruction) -> Instruction | None:
        return self._step(step.operands[0]) if step.opcode in _COPIES and step.operands else None

    def _step(self, name: str) -> Instruction | None:
        time = self._schedule.times.get(name)
        return self._others.get(name) if time is None else self._schedule.steps[time]
