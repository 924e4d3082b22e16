"""What each allocation of a buffer assignment is for."""

from __future__ import annotations

from collections.abc import Sequence

from mallocgame.report.memory.use import Kind, Kinds
from mallocgame.system.errors import BadInputError
from xla_dump_parser import Allocation

_WRITTEN: tuple[tuple[str, Kind], ...] = (
    ("maybe-live-out", "output"),
    ("constant", "constant"),
    ("thread-local", "thread-local"),
    ("preallocated-temp", "temporary"),
)
"""Words of an allocation's line (OpenXLA buffer_assignment.cc, BufferAllocation::ToString)."""


def kind_of(allocation: Allocation) -> Kind:
    """What an allocation is for.

    Raises:
        BadInputError: its line has none of the words that say so.
    """
    words = allocation.kind.split(", ")
    if allocation.parameter is not None:
        return "aliased" if "maybe-live-out" in words else "argument"
    found = next((kind for word, kind in _WRITTEN if word in words), None)
    if found is None:
        raise BadInputError(f"allocation {allocation.id} of the buffer assignment is of no known kind")
    return found


def kinds_of(allocations: Sequence[Allocation], memory_space: int) -> Kinds:
    """Bytes of a memory's allocations by kind.

    Raises:
        BadInputError: as ``kind_of``.
    """
    totals: dict[Kind, int] = {}
    for allocation in allocations:
        if allocation.memory_space == memory_space:
            kind = kind_of(allocation)
            totals[kind] = totals.get(kind, 0) + allocation.size
    return Kinds(
        arguments=totals.get("argument", 0),
        aliased=totals.get("aliased", 0),
        outputs=totals.get("output", 0),
        temporaries=totals.get("temporary", 0),
        constants=totals.get("constant", 0),
        thread_local=totals.get("thread-local", 0),
    )
