"""Arrays that take much more than their elements, and how they would not."""

from __future__ import annotations

from collections.abc import Sequence

from mallocgame.report.memory.orders import as_written, best_order, merged
from mallocgame.report.memory.use import Buffer, Finding
from mallocgame.report.units import size
from xla_dump_parser import ArrayShape, format_shape, padded_bytes, parse_shape

PADDED = 2.0
"""Paddings above this factor are told."""


def paddings(buffers: Sequence[Buffer]) -> list[Finding]:
    """Of arrays that are padded above ``PADDED`` times, one for each shape."""
    shapes: dict[str, list[Buffer]] = {}
    for buffer in buffers:
        if buffer.dtype and buffer.padding > PADDED:
            shapes.setdefault(buffer.shape, []).append(buffer)
    return [_padding(shape, same) for shape, same in shapes.items()]


def _padding(shape: str, same: Sequence[Buffer]) -> Finding:
    whole, plain = sum(buffer.size for buffer in same), sum(buffer.plain_size for buffer in same)
    names = same[0].name if len(same) == 1 else f"{same[0].name} and {len(same) - 1} more"
    array = parse_shape(shape)
    narrow = _narrow(array) if isinstance(array, ArrayShape) else None
    words = ""
    if narrow is not None:
        dimension, extent, tile = narrow
        words = f": {extent} elements of dimension {dimension} are padded to {tile}"
    return Finding(
        "padding",
        whole - plain,
        f"{names} {shape}: {size(whole)} for {size(plain)} of elements ({whole / plain:.3g} x){words}",
        _advice(array, same[0].plain_size, " each" if len(same) > 1 else "")
        if isinstance(array, ArrayShape)
        else "give it larger minor dimensions",
    )


def _advice(array: ArrayShape, plain: int, each: str) -> str:
    """What order of its dimensions avoids the padding of one array; where none does, what one dimension takes."""
    flat = merged(array)
    in_one = f"in one dimension (reshape) {size(padded_bytes(flat))}"
    if len(array.dims) < 2 or not plain:
        return f"merge it with others: {in_one} at least"
    best = best_order(array)
    taken = padded_bytes(best)
    written = format_shape(as_written(best))
    if taken <= PADDED * plain:
        minor = best.layout.minor_to_major[0] if best.layout is not None else 0
        return f"with dimension {minor} last (transpose), {written}, it takes {size(taken)}{each}; {in_one}"
    return f"no order of its dimensions avoids it (the best, {written}, takes {size(taken)}); {in_one}"


def _narrow(array: ArrayShape) -> tuple[int, int, int] | None:
    """(dimension, elements, elements with padding) of the dimension that its tile pads most; None without tiles."""
    if array.layout is None or not array.layout.tiles:
        return None
    minor_first = zip(array.layout.minor_to_major, reversed(array.layout.tiles[0]), strict=False)
    padded = [(number, array.dims[number], -(-array.dims[number] // tile) * tile) for number, tile in minor_first]
    narrow = [one for one in padded if 0 < one[1] < one[2]]
    return max(narrow, key=lambda one: one[2] / one[1], default=None)
