"""The lowest offset of a block beside those that are fixed."""

from __future__ import annotations

from typing import Any

from mallocgame.packing.native.compiled import inner
from mallocgame.packing.native.layout import ALIGNMENT, OBSTACLES


@inner
def lift(a: Any, b: int, offset: int) -> int:
    """The lowest offset of a block, not below the given one, that is aligned and clear of its fixed neighbours."""
    obstacles = a.obstacles
    alignment = a.blocks[ALIGNMENT, b]
    if alignment > 1:
        offset = (offset + alignment - 1) // alignment * alignment
    for k in range(a.starts[OBSTACLES, b], a.starts[OBSTACLES, b + 1]):
        if offset < obstacles[1, k] and offset + obstacles[2, k] > obstacles[0, k]:
            offset = (obstacles[1, k] + alignment - 1) // alignment * alignment
    return offset
