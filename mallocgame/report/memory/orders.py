"""What an array would take with its dimensions in another order, by the tiles that the compiler gives it then."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

from xla_dump_parser import ArrayShape, padded_bytes
from xla_dump_parser.hlo import Layout
from xla_dump_parser.shapes import element_bits

_LANES, _SUBLANES, _WORD_BITS = 128, 8, 32


def ordered(shape: ArrayShape, minor_to_major: tuple[int, ...]) -> ArrayShape:
    """An array in another order, with the tiles that libtpu 0.0.52 gives it.

    Rows of 128 elements; as many rows a tile as the dimension before the last has, up to a power of two and to 8, and
    at least as many as share a word of 32 bits. One dimension: as many elements as it has, up to a power of two and to
    1,024, at least 128 words. docs/memory.md has how often that was so.
    """
    packed = max(1, _WORD_BITS // element_bits(shape))
    sub: tuple[tuple[int, ...], ...] = ((packed, 1),) if packed > 1 else ()
    if len(shape.dims) < 2:
        first = min(_LANES * _SUBLANES, max(_LANES * packed, _power(shape.dims[0])))
        return replace(shape, layout=Layout(minor_to_major, ((first,), *(((_LANES,), *sub) if sub else ()))))
    rows = max(packed, min(_SUBLANES, _power(shape.dims[minor_to_major[1]])))
    return replace(shape, layout=Layout(minor_to_major, ((rows, _LANES), *sub)))


def best_order(shape: ArrayShape) -> ArrayShape:
    """The order of an array's dimensions, of two or more, that takes the fewest bytes; its own among equal ones."""
    layout = shape.layout
    own = layout.minor_to_major if layout is not None else tuple(reversed(range(len(shape.dims))))
    pairs = [own[:2], *permutations(own, 2)]
    orders = [(*pair, *(number for number in own if number not in pair)) for pair in pairs]
    return min((ordered(shape, order) for order in orders), key=padded_bytes)


def merged(shape: ArrayShape) -> ArrayShape:
    """All dimensions of an array in one."""
    count = 1
    for dim in shape.dims:
        count *= dim
    return ordered(ArrayShape(shape.dtype, (count,)), (0,))


def as_written(shape: ArrayShape) -> ArrayShape:
    """An array whose dimensions are in the order of another one's layout, the minor one last, as a program has it."""
    if shape.layout is None:
        return shape
    order = tuple(reversed(shape.layout.minor_to_major))
    dims = tuple(shape.dims[number] for number in order)
    return replace(shape, dims=dims, layout=replace(shape.layout, minor_to_major=tuple(reversed(range(len(dims))))))


def _power(count: int) -> int:
    """The least power of two that is not below a count."""
    return 1 << max(0, count - 1).bit_length()
