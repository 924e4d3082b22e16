"""Layouts: ``{1,0:T(8,128)(2,1)S(1)}``, from text and back (the grammar of OpenXLA's layout.cc)."""

from __future__ import annotations

import re

from xla_dump_parser.errors import quote
from xla_dump_parser.hlo import Layout

COMBINE = -1
"""A tile entry written ``*``: its dimension is merged into the next more minor one."""

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


def read_layout(text: str, position: int, rank: int) -> tuple[Layout, int]:
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
        tile = tuple(COMBINE if item.strip() == "*" else _number(item.strip(), position) for item in part.split(","))
        if 0 in tile or tile[-1] == COMBINE:
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


def split_fields(other: str) -> list[tuple[str, str]]:
    """(name, value with its brackets) of the fields in ``Layout.other``."""
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


def format_layout(layout: Layout) -> str:
    """The text of a layout, braces included, with its fields in the order in which XLA writes them."""
    fields = split_fields(layout.other)
    if layout.tiles:
        tiles = ("(" + ",".join("*" if size == COMBINE else str(size) for size in tile) + ")" for tile in layout.tiles)
        fields.append(("T", "".join(tiles)))
    if layout.memory_space:
        fields.append(("S", f"({layout.memory_space})"))
    if layout.element_bits:
        fields.append(("E", f"({layout.element_bits})"))
    fields.sort(key=lambda field: _FIELD_ORDER.get(field[0], len(_FIELD_ORDER)))
    order = ",".join(map(str, layout.minor_to_major))
    return "{" + order + (":" if fields else "") + "".join(name + value for name, value in fields) + "}"
