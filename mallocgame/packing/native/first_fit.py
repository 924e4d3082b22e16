"""First fit."""

from __future__ import annotations

from typing import Any

from mallocgame.packing.native.compiled import inner
from mallocgame.packing.native.layout import ABOVE, BELOW, FIXED, HEAD, NEIGHBOURS, PLACED, SIZE, ZERO
from mallocgame.packing.native.lift import lift


@inner
def first_fit(a: Any, order: Any, capacity: int) -> int:
    """Place each block in turn at the lowest free offset, which is left in its head; the largest offset + size.

    Args:
        a: the arrays.
        order: ``[1, n]`` blocks, the fixed ones first.
        capacity: bytes; what would end above is left out (not ``PLACED``), unless it is fixed.
    """
    blocks, neighbours, rooms, starts = a.blocks, a.neighbours, a.rooms, a.starts
    for i in range(order.shape[1]):
        blocks[PLACED, order[0, i]] = 0
    height = 0
    for i in range(order.shape[1]):
        b = order[0, i]
        offset = blocks[FIXED, b] if blocks[FIXED, b] >= 0 else lift(a, b, ZERO)
        moved = blocks[FIXED, b] < 0
        while moved:
            moved = False
            for k in range(starts[NEIGHBOURS, b], starts[NEIGHBOURS, b + 1]):
                c = neighbours[0, k]
                end = blocks[HEAD, c] + rooms[ABOVE, k]
                if blocks[PLACED, c] and offset < end and offset + rooms[BELOW, k] > blocks[HEAD, c]:
                    offset = lift(a, b, end)
                    moved = True
        if offset + blocks[SIZE, b] > capacity and blocks[FIXED, b] < 0:
            continue
        blocks[HEAD, b] = offset
        blocks[PLACED, b] = 1
        height = max(height, offset + blocks[SIZE, b])
    return height
