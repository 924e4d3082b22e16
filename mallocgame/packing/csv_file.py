"""Buffers as CSV, with the columns of MiniMalloc (github.com/google/minimalloc).

    id,lower,upper,size,alignment,gaps,hint,offset,colocation,separation,cost
    b1,0,9,4,2,3-5 7-8,16,,cache,left right,250

``id`` (or ``buffer``, ``buffer_id``), ``lower`` (``start``, ``begin``), ``upper`` and ``size`` are needed. With ``end``
instead of ``upper``, live ranges and gaps include their last time. An ``offset`` (or ``fixed``) that is not empty is
the only one allowed. Cells of the optional columns may be empty.

Columns of our own: buffers with the same ``colocation``, a name, are at one offset, and no two of them may be live at
once (XLA's word; their sizes may differ). ``separation`` has names with spaces between: buffers that have one in common
share no byte, whenever they are live. ``cost``, a whole number, is what is lost if the buffer is spilled, its size if
empty.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mallocgame.packing.buffer import Buffer
from mallocgame.packing.joint import clashes
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import read_bytes, write_atomically

LARGEST_FILE = 64 * 1024 * 1024
LONGEST_SHOWN = 80
"""Characters of a cell that an error shows."""

_MEANINGS = {
    **dict.fromkeys(("id", "buffer", "buffer_id"), "id"),
    **dict.fromkeys(("lower", "start", "begin"), "lower"),
    **dict.fromkeys(("upper", "end"), "upper"),
    **{name: name for name in ("size", "alignment", "gaps", "hint")},
    **dict.fromkeys(("offset", "fixed"), "offset"),
    **{name: name for name in ("colocation", "separation", "cost")},
}
_NEEDED = ("id", "lower", "upper", "size")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_GAP = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


@dataclass(frozen=True)
class BufferTable:
    """Buffers and the text that they came from.

    Attributes:
        header: the names of the columns as they are in the file.
        rows: the cells of each row as they are in the file.
        buffers: one a row.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    buffers: tuple[Buffer, ...]


def read_csv(path: str | os.PathLike[str]) -> BufferTable:
    """Read buffers from a file.

    Raises:
        BadInputError: the file cannot be read or does not hold a problem; one line that names the file and the line.
    """
    try:
        text = read_bytes(path, LARGEST_FILE).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInputError(f"{path}: is not text in UTF-8") from None
    return parse_csv(text, str(path))


def parse_csv(text: str, name: str) -> BufferTable:
    """Read buffers from a text; ``name`` stands for the file in errors.

    Raises:
        BadInputError: as `read_csv`.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        lines.extend((reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells))
    except csv.Error as error:
        raise BadInputError(f"{name}:{reader.line_num}: {error}") from None
    if not lines:
        raise BadInputError(f"{name}:1: no header; it has to name at least {', '.join(_NEEDED)}")
    columns = _columns(lines[0][1], f"{name}:{lines[0][0]}")
    closed = 1 if "end" in (cell.strip() for cell in lines[0][1]) else 0
    buffers: dict[str, Buffer] = {}
    for number, cells in lines[1:]:
        place = f"{name}:{number}"
        if len(cells) != len(lines[0][1]):
            raise BadInputError(f"{place}: {len(cells)} cells under a header of {len(lines[0][1])}")
        buffer = _buffer({meaning: cells[index].strip() for meaning, index in columns.items()}, closed, place)
        if buffer.id in buffers:
            raise BadInputError(f"{place}: the id {buffer.id[:LONGEST_SHOWN]!r} is there twice")
        buffers[buffer.id] = buffer
    for clash in clashes(tuple(buffers.values())):
        raise BadInputError(f"{name}:{lines[1 + clash.index][0]}: {clash.text}")
    rows = tuple(tuple(cells) for _, cells in lines[1:])
    return BufferTable(tuple(lines[0][1]), rows, tuple(buffers.values()))


def format_csv(table: BufferTable, offsets: Sequence[int | None]) -> str:
    """The rows as they were, with their offsets in the column ``offset``, which is the last one if it is new.

    Of what has no offset the cell is empty.
    """
    header, rows = list(table.header), [list(row) for row in table.rows]
    names = [name.strip() for name in header]
    column = names.index("offset") if "offset" in names else len(header)
    header[column:] = ["offset", *header[column + 1 :]]
    for row, offset in zip(rows, offsets, strict=True):
        row[column:] = ["" if offset is None else str(offset), *row[column + 1 :]]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def format_buffers(buffers: Sequence[Buffer]) -> str:
    """Buffers as a text that `parse_csv` reads, with those of the optional columns that one of them needs."""
    cells = [
        {
            "id": buffer.id,
            "lower": str(buffer.lower),
            "upper": str(buffer.upper),
            "size": str(buffer.size),
            "alignment": str(buffer.alignment) if buffer.alignment > 1 else "",
            "gaps": " ".join(f"{low}-{high}" for low, high in buffer.gaps),
            "hint": "" if buffer.hint is None else str(buffer.hint),
            "offset": "" if buffer.offset is None else str(buffer.offset),
            "colocation": buffer.colocation,
            "separation": " ".join(buffer.separations),
            "cost": "" if buffer.cost is None else str(buffer.cost),
        }
        for buffer in buffers
    ]
    header = [name for name in dict.fromkeys(_MEANINGS.values()) if name in _NEEDED or any(row[name] for row in cells)]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *([row[name] for name in header] for row in cells)])
    return text.getvalue()


def write_csv(path: str | os.PathLike[str], table: BufferTable, offsets: Sequence[int | None]) -> None:
    """Write `format_csv` to a file, whole or not at all.

    Raises:
        BadInputError: it cannot be written.
    """
    write_atomically(path, format_csv(table, offsets).encode())


def _columns(header: Sequence[str], place: str) -> dict[str, int]:
    """Which column has which meaning."""
    columns: dict[str, int] = {}
    for index, cell in enumerate(header):
        name = cell.strip()
        if name not in _MEANINGS:
            raise BadInputError(f"{place}: unknown column {name[:LONGEST_SHOWN]!r}; known: {', '.join(_MEANINGS)}")
        if _MEANINGS[name] in columns:
            raise BadInputError(f"{place}: two columns for the {_MEANINGS[name]}")
        columns[_MEANINGS[name]] = index
    missing = [meaning for meaning in _NEEDED if meaning not in columns]
    if missing:
        raise BadInputError(f"{place}: no column for the {missing[0]}")
    return columns


def _buffer(cells: dict[str, str], closed: int, place: str) -> Buffer:
    """The buffer of a row; ``closed`` is 1 if ranges include their last time."""
    if not cells["id"]:
        raise BadInputError(f"{place}: the id is empty")
    try:
        return Buffer(
            id=cells["id"],
            lower=_number(cells["lower"], "lower", place),
            upper=_number(cells["upper"], "upper", place) + closed,
            size=_number(cells["size"], "size", place),
            alignment=1 if (alignment := _optional(cells, "alignment", place)) is None else alignment,
            gaps=_gaps(cells.get("gaps", ""), closed, place),
            hint=_optional(cells, "hint", place),
            offset=_optional(cells, "offset", place),
            colocation=cells.get("colocation", ""),
            separations=tuple(dict.fromkeys(cells.get("separation", "").split())),
            cost=_optional(cells, "cost", place),
        )
    except BadInputError as error:
        text = str(error)
        raise BadInputError(text if text.startswith(place) else f"{place}: {text}") from None


def _number(cell: str, meaning: str, place: str) -> int:
    if not _NUMBER.fullmatch(cell):
        raise BadInputError(f"{place}: {meaning} {cell[:LONGEST_SHOWN]!r} is not a whole number")
    return int(cell)


def _optional(cells: dict[str, str], meaning: str, place: str) -> int | None:
    cell = cells.get(meaning, "")
    return _number(cell, meaning, place) if cell else None


def _gaps(cell: str, closed: int, place: str) -> tuple[tuple[int, int], ...]:
    """The gaps of a cell, e.g. ``7-8 10-12``."""
    gaps = []
    for word in cell.split():
        if "@" in word:
            raise BadInputError(
                f"{place}: gap {word[:LONGEST_SHOWN]!r} keeps a part of the buffer, which is not supported"
            )
        matched = _GAP.fullmatch(word)
        if not matched:
            raise BadInputError(f"{place}: gap {word[:LONGEST_SHOWN]!r} is not TIME-TIME")
        gaps.append((int(matched[1]), int(matched[2]) + closed))
    return tuple(gaps)
