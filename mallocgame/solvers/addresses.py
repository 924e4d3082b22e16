"""What instructions reserve of fast memory, as the packer sees it."""

from __future__ import annotations

from mallocgame.packing import Buffer
from mallocgame.problem.reserved import fixed_reservations
from mallocgame.problem.schema import Problem


def reserved_buffers(problem: Problem) -> list[Buffer]:
    """The reservations as buffers that are where they are; their ids are no numbers."""
    return [
        Buffer(f"reserved {one.start}", one.start, one.end + 1, one.size, offset=one.offset)
        for one in fixed_reservations(problem)
    ]
