"""What is live when most of a memory is in use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from math import prod

from mallocgame.report.memory.kinds import kind_of
from mallocgame.report.memory.lives import Lives
from mallocgame.report.memory.places import Lived, holding, peak_time
from mallocgame.report.memory.use import Buffer, Kind, Peak, copy_of
from mallocgame.report.peak import source_of
from xla_dump_parser import Allocation, ArrayShape, SourceLines, format_shape
from xla_dump_parser.hlo import HloModule, Instruction
from xla_dump_parser.shapes import element_bits

_OP_NAME = re.compile(r'op_name="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
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
    describe = _Describer(module, lives)
    buffers = []
    for allocation in own:
        kind = kind_of(allocation)
        if kind != "temporary" and allocation.values:
            values = [Lived(value, lives.of(value)) for value in allocation.values]
            first = min(values, key=lambda one: one.live[0])
            holder = _holder(values, time) if allocation.parameter is None else first
            whole = (0, len(lives.schedule.steps) - 1)
            buffers.append(describe.buffer(replace(holder, live=whole), kind, allocation.size))
    for values in temporary:
        buffers += [describe.buffer(lived, "temporary", size) for lived, size in holding(values, time)]
    total = sum(allocation.size for allocation in own)
    buffers.sort(key=lambda buffer: (-buffer.size, buffer.name))
    used = sum(buffer.size for buffer in buffers)
    return Peak(memory_space, time, lives.schedule.steps[time].name, tuple(buffers), total - used)


def _holder(values: Sequence[Lived], time: int) -> Lived:
    """Of the values of one allocation the last that is made by a time."""
    return max(values, key=lambda one: (one.live[0] <= time, one.live[0] if one.live[0] <= time else -one.live[0]))


class _Describer:
    """Says of values what they are and where they come from."""

    def __init__(self, module: HloModule, lives: Lives) -> None:
        self._schedule = lives.schedule
        self._lines = SourceLines(module)
        self._others = {
            step.name: step for computation in module.computations.values() for step in computation.instructions
        }

    def buffer(self, lived: Lived, kind: Kind, size: int) -> Buffer:
        value = lived.value
        step = self._step(value.instruction)
        index = f"{{{','.join(map(str, value.index))}}}" if value.index else ""
        array = value.shape if isinstance(value.shape, ArrayShape) else None
        return Buffer(
            name=f"{value.instruction}{index}",
            kind=kind,
            shape=format_shape(value.shape),
            dtype="" if array is None else array.dtype,
            size=size,
            plain_size=size if array is None else (prod(array.dims) * element_bits(array) + 7) // 8,
            opcode="" if step is None else step.opcode,
            what="" if step is None else self._what(step),
            source=None if step is None else source_of(self._lines, step),
            live=lived.live,
        )

    def _what(self, step: Instruction) -> str:
        """Its ``op_name``; of a copy that has none, what it copies."""
        named = _op_name(step)
        copied = self._step(step.operands[0]) if step.opcode in _COPIES and step.operands else None
        return named if named or copied is None else copy_of(_op_name(copied) or copied.name)

    def _step(self, name: str) -> Instruction | None:
        time = self._schedule.times.get(name)
        return self._others.get(name) if time is None else self._schedule.steps[time]


def _op_name(step: Instruction) -> str:
    found = _OP_NAME.search(step.attributes.get("metadata", ""))
    return "" if found is None else _ESCAPED.sub(r"\1", found[1])
