"""Shapes: ``bf16[512,512]{1,0:T(8,128)(2,1)S(1)}`` and tuples of them, from text and back, and their sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from xla_dump_parser.errors import ParseError, quote
from xla_dump_parser.hlo import ArrayShape, Layout, Shape, TupleShape

ShapeIndex = tuple[int, ...]
"""Path into a tuple shape; ``()`` for an array."""

MAX_DEPTH = 64
"""Tuples nested deeper than this are refused."""

_MAX_BYTES = (1 << 63) - 1
_COMBINE = -1

_ELEMENT_BITS = {
    "pred": 8, "token": 0, "opaque": 0, "c64": 64, "c128": 128, "bf16": 16, "f16": 16, "f32": 32, "f64": 64,
    **{sign + str(bits): max(bits, 8) for sign in "su" for bits in (1, 2, 4, 8, 16, 32, 64)},
}  # fmt: skip
_SMALL_FLOAT = re.compile(r"f[48]e\d+m\d+\w*")

_GAP = re.compile(r"(?:\s|/\*.*?\*/)*+", re.DOTALL)
_ARRAY = re.compile(r"([a-z]\w*)\[([^\[\]]*)\](\{)?", re.ASCII)
_SIMPLE_LAYOUT = re.compile(r"([\d,]*)(?::(?:T((?:\([\d,*]+\))+))?(?:E\((\d+)\))?(?:S\((\d+)\))?)?\}", re.ASCII)
_MINOR_TO_MAJOR = re.compile(r"(?:\d+(?:,\d+)*)?(?=[:}])", re.ASCII)
_FIELD_NAME = re.compile(r"SC|[DTLESPM]|#|\*")
_NUMBER = re.compile(r"\d{1,19}", re.ASCII)
_FIELD_ORDER = {name: place for place, name in enumerate(("D", "T", "L", "#", "*", "E", "S", "SC", "P", "M"))}


class ShapeError(ValueError):
    """A shape cannot be read. ``position`` counts characters from the start of the text."""

    def __init__(self, position: int, message: str) -> None:
        self.position = position
        self.message = message
        super().__init__(message)


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
    layout = "" if shape.layout is None else _format_layout(shape.layout)
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
    fields = dict(_split_fields(layout.other))
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
        layout, position = _read_layout(text, position, len(dims))
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


def _read_layout(text: str, position: int, rank: int) -> tuple[Layout, int]:
    """The layout whose ``{`` ends at ``position``, and the position after its ``}``."""
    simple = _SIMPLE_LAYOUT.match(text, position)
    if simple is not None:
        order, tiles, bits, space = simple.groups()
        layout = Layout(
            _numbers(order, position),
            _read_tiles(tiles or "", position),
            _number(space, position),
            _number(bits, position),
        )
        end = simple.end()
    else:
        layout, end = _read_full_layout(text, position)
    if sorted(layout.minor_to_major) != list(range(rank)):
        raise ShapeError(position, f"the layout's dimension order is not a permutation of the {rank} dimensions")
    return layout, end


def _read_full_layout(text: str, position: int) -> tuple[Layout, int]:
    order = _MINOR_TO_MAJOR.match(text, position)
    if order is None:
        raise ShapeError(position, "expected a layout such as {1,0:T(8,128)}")
    at = order.end()
    tiles: tuple[tuple[int, ...], ...] = ()
    space = bits = 0
    other: list[str] = []
    if text.startswith(":", at):
        at += 1
        while not text.startswith("}", at):
            name = _FIELD_NAME.match(text, at)
            if name is None:
                raise ShapeError(at, f"expected a layout field such as T(8,128), found {quote(text[at : at + 20])}")
            end = _close(text, name.end())
            while name[0] in ("T", "D") and text.startswith("(", end):
                end = _close(text, end)
            value = text[name.end() : end]
            if name[0] == "T":
                tiles = _read_tiles(value, at)
            elif name[0] == "S":
                space = _number(value[1:-1], at)
            elif name[0] == "E":
                bits = _number(value[1:-1], at)
            else:
                if name[0] in ("L", "M") and _number(value[1:-1], at) == 0:
                    raise ShapeError(at, f"{name[0]}(0) in a layout")
                other.append(name[0] + value)
            at = end
    return Layout(_numbers(order[0], position), tiles, space, bits, "".join(other)), at + 1


def _close(text: str, position: int) -> int:
    """The position after the ``)`` that closes the ``(`` at ``position``."""
    depth = 0
    for bracket in re.compile(r"[()]").finditer(text, position):
        if depth == 0 and bracket.start() != position:
            break
        depth += 1 if bracket[0] == "(" else -1
        if depth == 0:
            return bracket.end()
    raise ShapeError(position, "expected '(' and a matching ')' in a layout")


def _read_tiles(text: str, position: int) -> tuple[tuple[int, ...], ...]:
    tiles: list[tuple[int, ...]] = []
    for part in text[1:-1].split(")(") if text else ():
        tile = tuple(_COMBINE if item.strip() == "*" else _number(item.strip(), position) for item in part.split(","))
        if 0 in tile or tile[-1] == _COMBINE:
            raise ShapeError(position, f"({quote(part)}) is not a tile")
        tiles.append(tile)
    return tuple(tiles)


def _numbers(text: str, position: int) -> tuple[int, ...]:
    return tuple(_number(item, position) for item in text.split(",")) if text else ()


def _number(text: str | None, position: int) -> int:
    if text is None:
        return 0
    if not _NUMBER.fullmatch(text):
        raise ShapeError(position, f"{quote(text)} is not a number that a layout can have")
    return int(text)


def _split_fields(other: str) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    at = 0
    while at < len(other):
        name = _FIELD_NAME.match(other, at)
        if name is None:
            raise ShapeError(at, f"expected a layout field, found {quote(other[at:])}")
        end = _close(other, name.end())
        while name[0] == "D" and other.startswith("(", end):
            end = _close(other, end)
        fields.append((name[0], other[name.end() : end]))
        at = end
    return fields


def _format_layout(layout: Layout) -> str:
    fields = _split_fields(layout.other)
    if layout.tiles:
        tiles = ("(" + ",".join("*" if size == _COMBINE else str(size) for size in tile) + ")" for tile in layout.tiles)
        fields.append(("T", "".join(tiles)))
    if layout.memory_space:
        fields.append(("S", f"({layout.memory_space})"))
    if layout.element_bits:
        fields.append(("E", f"({layout.element_bits})"))
    fields.sort(key=lambda field: _FIELD_ORDER.get(field[0], len(_FIELD_ORDER)))
    order = ",".join(map(str, layout.minor_to_major))
    return "{" + order + (":" if fields else "") + "".join(name + value for name, value in fields) + "}"


def _apply_tile(dims: list[int], tile: tuple[int, ...]) -> list[int]:
    """Major-to-minor dims after one tile; a tile entry of ``*`` merges its dimension into the next more minor one."""
    dims = [1] * (len(tile) - len(dims)) + dims
    covered = dims[len(dims) - len(tile) :]
    sizes: list[int] = []
    merged: list[int] = []
    carry = 1
    for dim, size in zip(covered, tile, strict=True):
        if size == _COMBINE:
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
