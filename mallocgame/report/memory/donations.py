"""Donations that came to nothing, and why; arguments that could be donated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mallocgame.report.memory.use import Buffer, Finding, copy_of
from mallocgame.report.units import size
from xla_dump_parser import ArrayShape, parse_shape


def donations(buffers: Sequence[Buffer], donated: frozenset[str]) -> list[Finding]:
    """Donations that did not alias or saved nothing, and arguments that could be donated: of the shape of an output.

    Args:
        buffers: live at the peak, all arguments and outputs among them.
        donated: names of the entry's parameters that the program asked to donate.
    """
    arguments = [buffer for buffer in buffers if buffer.kind == "argument"]
    outputs = [buffer for buffer in buffers if buffer.kind == "output" and buffer.dtype]
    aliased = [buffer for buffer in buffers if buffer.kind == "aliased"]
    lost = [
        Finding(
            "lost donation",
            buffer.size,
            f"{_named(buffer)}, {size(buffer.size)}, is donated, and no output took its place: "
            f"{_why(buffer, outputs, aliased)}",
            "return a value of the same shape, type and sharding, or do not count on this donation",
        )
        for buffer in arguments
        if buffer.name in donated
    ]
    given_back = {copy_of(buffer.what or buffer.name): buffer for buffer in aliased}
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
    free = Counter(buffer.shape for buffer in outputs)
    missing: dict[str, list[Buffer]] = {}
    for buffer in arguments:
        if buffer.name not in donated and free[buffer.shape] > 0:
            free[buffer.shape] -= 1
            missing.setdefault(buffer.shape, []).append(buffer)
    return lost + copied + [_missing(shape, same) for shape, same in missing.items()]


def _why(buffer: Buffer, outputs: Sequence[Buffer], aliased: Sequence[Buffer]) -> str:
    """Why no output took the place of a donated argument: what the outputs are that come nearest."""
    own = parse_shape(buffer.shape)
    shapes = [(one, parse_shape(one.shape)) for one in (*outputs, *aliased)]
    if not isinstance(own, ArrayShape):
        return "it is no array"
    arrays = [(one, shape) for one, shape in shapes if isinstance(shape, ArrayShape)]
    same = [(one, shape) for one, shape in arrays if (shape.dtype, shape.dims) == (own.dtype, own.dims)]
    other_type = sorted({shape.dtype for _, shape in arrays if shape.dims == own.dims and shape.dtype != own.dtype})
    other_order = [shape for _, shape in arrays if shape.dtype == own.dtype and sorted(shape.dims) == sorted(own.dims)]
    if same and all(one.kind == "aliased" for one, _ in same):
        return f"the outputs of its shape ({len(same)}) have the places of other donated arguments"
    if same:
        return f"the output of its shape has another layout, {same[0][0].shape}"
    if other_type:
        return f"outputs of its dimensions are of another type, {' and '.join(other_type)}"
    if other_order:
        return f"an output has its dimensions in another order, {list(other_order[0].dims)}"
    return "no output has its dimensions"


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
