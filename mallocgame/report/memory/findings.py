"""What takes memory and may not have to: paddings, donations that came to nothing, the largest contributors."""

from __future__ import annotations

from collections.abc import Sequence

from mallocgame.report.memory.use import KINDS, Buffer, Finding, Peak, copy_of
from mallocgame.report.units import percent, size
from xla_dump_parser import ArrayShape, parse_shape

PADDED = 2.0
"""Paddings above this factor are told."""

WORTH = 0.01
"""Share of the memory's total that a finding is about at least."""

LARGEST = 2
"""How many source lines are told of."""

_ADVICE = {
    "temporary": "recompute or offload what is kept (jax.checkpoint; mallocgame fit), or take a smaller batch",
    "argument": "shard it over more devices, donate what is not needed afterwards, or take a smaller type",
    "aliased": "shard it over more devices, or take a smaller type",
    "output": "donate an argument of its shape, or return less",
    "constant": "pass it as an argument, or compute it in the program",
    "thread-local": "it belongs to the computations of reductions and the like",
}


def findings_of(peak: Peak, total: int, donated: frozenset[str]) -> tuple[Finding, ...]:
    """What is worth telling of the HBM: what can be saved, then the largest contributors; each most bytes first.

    Args:
        peak: of the HBM.
        total: bytes of all its allocations.
        donated: names of the entry's parameters that the program asked to donate.
    """
    found = [
        *paddings(peak.buffers),
        *_donations(peak.buffers, donated),
        *_largest(peak, total),
    ]
    return tuple(
        sorted((one for one in found if one.size >= WORTH * total), key=lambda one: (one.kind == "largest", -one.size))
    )


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
    narrow = _narrow(shape)
    words, advice = "", "give it larger minor dimensions: merge small ones by a reshape"
    if narrow is not None:
        dimension, extent, tile = narrow
        words = f": {extent} elements of dimension {dimension} are padded to {tile}"
        advice = (
            f"let a dimension of {tile} or more be in the place of dimension {dimension} (transpose), or merge it into "
            "another (reshape)"
        )
    return Finding(
        "padding",
        whole - plain,
        f"{names} {shape}: {size(whole)} for {size(plain)} of elements ({whole / plain:.3g} x){words}",
        advice,
    )


def _narrow(shape: str) -> tuple[int, int, int] | None:
    """(dimension, elements, elements with padding) of the dimension that its tile pads most; None without tiles."""
    array = parse_shape(shape)
    if not isinstance(array, ArrayShape) or array.layout is None or not array.layout.tiles:
        return None
    minor_first = zip(array.layout.minor_to_major, reversed(array.layout.tiles[0]), strict=False)
    padded = [(number, array.dims[number], -(-array.dims[number] // tile) * tile) for number, tile in minor_first]
    narrow = [one for one in padded if 0 < one[1] < one[2]]
    return max(narrow, key=lambda one: one[2] / one[1], default=None)


def _donations(buffers: Sequence[Buffer], donated: frozenset[str]) -> list[Finding]:
    """Donations that did not alias or saved nothing, and arguments that could be donated: of the shape of an output."""
    arguments = [buffer for buffer in buffers if buffer.kind == "argument"]
    lost = [
        Finding(
            "lost donation",
            buffer.size,
            f"{_named(buffer)}, {size(buffer.size)}, is donated, and no output took its place",
            "return a value of the same shape, type and sharding, or do not count on this donation",
        )
        for buffer in arguments
        if buffer.name in donated
    ]
    given_back = {copy_of(buffer.what or buffer.name): buffer for buffer in buffers if buffer.kind == "aliased"}
    copied = [
        Finding(
            "lost donation",
            buffer.size,
            f"{_named(given_back[buffer.what])} is donated, and copied all the same, {size(buffer.size)}: its new "
            "value is written while the old one is still read",
            "let what reads the old value come before what makes the new one; else this donation saves nothing",
        )
        for buffer in buffers
        if buffer.kind == "temporary" and buffer.dtype and buffer.what in given_back
    ]
    outputs: dict[str, int] = {}
    for buffer in buffers:
        if buffer.kind == "output" and buffer.dtype:
            outputs[buffer.shape] = outputs.get(buffer.shape, 0) + 1
    missing: dict[str, list[Buffer]] = {}
    for buffer in arguments:
        if buffer.name not in donated and outputs.get(buffer.shape, 0) > 0:
            outputs[buffer.shape] -= 1
            missing.setdefault(buffer.shape, []).append(buffer)
    return lost + copied + [_missing(shape, same) for shape, same in missing.items()]


def _named(buffer: Buffer) -> str:
    return f"{buffer.what or buffer.name} {buffer.shape}"


def _missing(shape: str, same: Sequence[Buffer]) -> Finding:
    first, whole = same[0], sum(buffer.size for buffer in same)
    more = f" and {len(same) - 1} more" if len(same) > 1 else ""
    return Finding(
        "missing donation",
        whole,
        f"{first.what or first.name}{more} {shape}, {size(whole)}, has the shape of an output and is not donated",
        "donate it if nothing reads it afterwards: jax.jit(..., donate_argnums=...)",
    )


def _largest(peak: Peak, total: int) -> list[Finding]:
    """The source lines with most at the peak; what has no line is told by kind."""
    places: dict[str, list[Buffer]] = {}
    for buffer in peak.buffers:
        places.setdefault(buffer.source or KINDS[buffer.kind], []).append(buffer)
    found = []
    for place, here in places.items():
        largest, whole = here[0], sum(buffer.size for buffer in here)
        found.append(
            Finding(
                "largest",
                whole,
                f"{place}: {size(whole)} at the peak ({percent(whole / total)}), the largest {size(largest.size)}, "
                f"{_named(largest)}",
                _ADVICE[largest.kind],
            )
        )
    return sorted(found, key=lambda one: -one.size)[:LARGEST]
