"""Shapes: ``bf16[512,512]{1,0:T(8,128)(2,1)S(1)}`` and tuples of them, from text and back, and their sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from xla_dump_parser.errors import ParseError, quote
from xla_dump_parser.hlo import ArrayShape, Shape, TupleShape
from xla_dump_parser.layout_text import COMBINE, ShapeError, format_layout, read_layout, split_fields

ShapeIndex = tuple[int, ...]
"""Path into a tuple shape; ``()`` for an array."""

MAX_DEPTH = 64
"""Tuples nested deeper than this are refused."""

_MAX_BYTES = (1 << 63) - 1

_ELEMENT_BITS = {
    "pred": 8, "token": 0, "opaque": 0, "c64": 64, "c128": 128, "bf16": 16, "f16": 16, "f32": 32, "f64": 64,
    **{sign + str(bits): max(bits, 8) for sign in "su" for bits in (1, 2, 4, 8, 16, 32, 64)},
}  # fmt: skip
_SMALL_FLOAT = re.compile(r"f[48]e\d+m\d+\w*")

_GAP = re.compile(r"(?>(?:\s|/\*.*?\*/)*)", re.DOTALL)
_ARRAY = re.compile(r"([a-z]\w*)\[([^\[\]]*)\](\{)?", re.ASCII)
_NUMBER = re.compile(r"\d{1,19}", re.ASCII)


def parse_shape(text: str, source: str = "<string>") -> Shape:
    """The shape that ``text`` is.

    Raises:
        ParseError: not a shape, nested too deep, or a size that does not fit in 63 bits.
    """
    try:
        return read_shape(text)
    except ShapeError as error:
        raise ParseError(source, 1, error.position + 1, error.message) from None


def read_shape(text: str) -> Shape:
    """As ``parse_shape``, but raises ShapeError, which knows the position alone."""
    open_tuples: list[list[Shape]] = []
    position = _skip_gap(text, 0)
    while True:
        shape: Shape | None = None
        if text.startswith("(", position):
            if len(open_tuples) == MAX_DEPTH:
                raise ShapeError(position, f"tuple shapes nested deeper than {MAX_DEPTH}")
            open_tuples.append([])
            position = _skip_gap(text, position + 1)
            if not text.startswith(")", position):
                continue
        else:
            shape, position = _read_array(text, position)
            position = _skip_gap(text, position)
        while True:  # close tuples
            if shape is not None:
                if not open_tuples:
                    if position != len(text):
                        raise ShapeError(position, f"{quote(text[position:])} after the end of a shape")
                    return shape
                open_tuples[-1].append(shape)
                if text.startswith(",", position):
                    position = _skip_gap(text, position + 1)
                    break
            if not text.startswith(")", position):
                raise ShapeError(position, "expected ',' or ')' in a tuple shape")
            shape = TupleShape(tuple(open_tuples.pop()))
            position = _skip_gap(text, position + 1)


def format_shape(shape: Shape) -> str:
    """The text of a shape as XLA writes it, without ``/*index=5*/`` comments."""
    if isinstance(shape, TupleShape):
        return f"({', '.join(map(format_shape, shape.elements))})"
    dynamic = shape.dynamic or (False,) * len(shape.dims)
    dims = ",".join(f"<={dim}" if bounded else str(dim) for dim, bounded in zip(shape.dims, dynamic, strict=True))
    layout = "" if shape.layout is None else format_layout(shape.layout)
    text = f"{shape.dtype}[{dims}]{layout}"
    return f"b({text})" if shape.buffer else text


def walk_shape(shape: Shape) -> Iterator[tuple[ShapeIndex, ArrayShape]]:
    """Every array in a shape with its index, in order; an array alone has index ``()``."""
    if isinstance(shape, ArrayShape):
        yield (), shape
        return
    for number, element in enumerate(shape.elements):
        for index, array in walk_shape(element):
            yield (number, *index), array


def padded_bytes(shape: ArrayShape) -> int:
    """Bytes that an array takes in a TPU's memory, padding of its tiles included (OpenXLA layout.h, "tiled layout").

    Each tile splits the dimensions that it covers, most minor ones first in the layout, into ``ceil(dim / tile)`` tiles
    of ``tile`` elements; later tiles split those again. A dynamic dimension counts its bound. Tokens take 0 bytes.
    """
    layout = shape.layout
    if layout is None:
        return _bytes(_product(shape.dims), element_bits(shape))
    dims = [shape.dims[number] for number in reversed(layout.minor_to_major)]
    for tile in layout.tiles:
        dims = _apply_tile(dims, tile)
    elements = _product(dims)
    fields = dict(split_fields(layout.other))
    if "L" in fields:
        align = int(fields["L"][1:-1])
        elements = -(-elements // align) * align
    prefix = int(fields["M"][1:-1]) if "M" in fields else 0
    return _bytes(elements, element_bits(shape)) + prefix


def element_bits(shape: ArrayShape) -> int:
    """Bits that one element takes in memory: E(n) of the layout, else the type's bytes (OpenXLA primitive_util.h)."""
    if shape.layout is not None and shape.layout.element_bits:
        return shape.layout.element_bits
    return _ELEMENT_BITS.get(shape.dtype, 8)


def _read_array(text: str, position: int) -> tuple[ArrayShape, int]:
    start = position
    buffer = text.startswith("b(", position)
    match = _ARRAY.match(text, position + 2 * buffer)
    if match is None:
        raise ShapeError(position, f"expected a shape such as f32[8,128]{{1,0}}, found {quote(text[position:])}")
    dtype = match[1]
    if dtype not in _ELEMENT_BITS and not _SMALL_FLOAT.fullmatch(dtype):
        raise ShapeError(match.start(), f"unknown element type {quote(dtype)}")
    dims, dynamic = _read_dims(match[2], match.start(2))
    layout = None
    position = match.end()
    if match[3]:
        layout, position = read_layout(text, position, len(dims))
    if buffer:
        if not text.startswith(")", position):
            raise ShapeError(position, "expected ')' after the shape of a buffer")
        position += 1
    shape = ArrayShape(dtype, dims, layout, dynamic, buffer)
    if padded_bytes(shape) > _MAX_BYTES:
        raise ShapeError(start, "the size of this shape does not fit in 63 bits")
    return shape, position


def _read_dims(text: str, position: int) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    if not text:
        return (), ()
    dims: list[int] = []
    dynamic: list[bool] = []
    for part in text.split(","):
        bare = part.strip()
        bounded = bare.startswith("<=")
        digits = bare[2:] if bounded else bare
        if not _NUMBER.fullmatch(digits):
            hint = " (unbounded dimensions have no size)" if digits == "?" else ""
            raise ShapeError(position, f"{quote(part)} is not a dimension{hint}")
        dims.append(int(digits))
        dynamic.append(bounded)
    return tuple(dims), tuple(dynamic) if any(dynamic) else ()


def _apply_tile(dims: list[int], tile: tuple[int, ...]) -> list[int]:
    """Major-to-minor dims after one tile; a tile entry of ``*`` merges its dimension into the next more minor one."""
    dims = [1] * (len(tile) - len(dims)) + dims
    covered = dims[len(dims) - len(tile) :]
    sizes: list[int] = []
    merged: list[int] = []
    carry = 1
    for dim, size in zip(covered, tile, strict=True):
        if size == COMBINE:
            carry *= dim
            continue
        merged.append(dim * carry)
        sizes.append(size)
        carry = 1
    outer = [-(-dim // size) for dim, size in zip(merged, sizes, strict=True)]
    return dims[: len(dims) - len(tile)] + outer + sizes


def _product(values: tuple[int, ...] | list[int]) -> int:
    product = 1
    for value in values:
        product *= value
    return product


def _bytes(elements: int, bits: int) -> int:
    return (elements * bits + 7) // 8


def _skip_gap(text: str, position: int) -> int:
    match = _GAP.match(text, position)
    return position if match is None else match.end()
