"""What the compiler's own words say of a program that does not fit, where nothing else is known of it."""

from __future__ import annotations

from collections.abc import Iterable

from mallocgame.problem.placement import HBM
from mallocgame.report.memory.paddings import paddings
from mallocgame.report.memory.roles import said_role
from mallocgame.report.memory.use import Buffer, Kind, MemoryUse, Peak, SpaceUse
from xla_dump_parser import ArrayShape, ParseError, parse_shape
from xla_dump_parser.out_of_memory import LargeAllocation, OutOfMemory, parse_out_of_memory, size_in_bytes

_KINDS: dict[str, Kind] = {"arguments": "argument", "output": "output", "constant": "constant", "global": "constant"}
"""By the last word of an allocation type."""


def use_of_message(text: str, source: str) -> MemoryUse:
    """What an error message or a compile log says; sizes are of rounded figures, except totals of a report.

    Raises:
        xla_dump_parser.ParseError: it says of no program that it does not fit, or is damaged.
    """
    said = parse_out_of_memory(text, source)
    buffers = tuple(sorted(_buffers(said), key=lambda buffer: -buffer.size))
    space = 0 if said.space == "hbm" else next((one.memory_space for one in said.report if one.name == said.space), -1)
    total = next((one.total_bytes for one in said.report if one.memory_space == space), said.used)
    others = (
        SpaceUse(one.name, one.memory_space, one.total_bytes, None)
        for one in said.report
        if one.memory_space not in (space, HBM)
    )
    name = "HBM" if space == HBM else said.space
    rest = total - sum(buffer.size for buffer in buffers)
    return MemoryUse(
        module=said.module or "a program",
        target="",
        spaces=(SpaceUse(name, space, total, said.available), *others),
        kinds=None,
        peaks=(Peak(space, None, "", buffers, rest),) if buffers else (),
        findings=tuple(sorted(paddings(buffers), key=lambda one: -one.size)),
    )


def _buffers(said: OutOfMemory) -> Iterable[Buffer]:
    """The listed allocations; of a report's rows, each place of the memory that ran out once."""
    if said.largest:
        yield from map(_listed, said.largest)
        return
    names = {"default"} if said.space == "hbm" else {said.space}
    for space in said.report:
        for number, rows in enumerate(space.allocations if space.name in names else ()):
            end = 0
            for row in sorted(rows, key=lambda row: (row.offset, -size_in_bytes(row.size))):
                size = row.offset + size_in_bytes(row.size) - max(end, row.offset)
                if size > 0:
                    yield Buffer(f"allocation {number}", "temporary", row.shapes, "", size, size, "", "", None, None)
                    end = row.offset + size_in_bytes(row.size)


def _listed(row: LargeAllocation) -> Buffer:
    words = row.kind.split()
    kind = _KINDS.get(words[-1], "temporary") if words else "temporary"
    return Buffer(
        name=row.label.partition(" = ")[0].lstrip("%"),
        kind=kind,
        shape=row.shape,
        dtype=_dtype(row.shape),
        size=row.size,
        plain_size=row.plain_size,
        opcode="",
        what=row.op_name,
        source=row.source,
        live=None,
        role=said_role(kind, row.op_name),
    )


def _dtype(shape: str) -> str:
    """Of an array; empty for what is none, or is not printed whole."""
    try:
        array = parse_shape(shape)
    except ParseError:
        return ""
    return array.dtype if isinstance(array, ArrayShape) else ""
