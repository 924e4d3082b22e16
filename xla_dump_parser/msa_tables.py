"""Tables that memory space assignment writes at its end: bufferinfo, allocinfo and scheduleinfo.

They come as files (``xla_jf_dump_to``) or, the first two, as lines of a compile log. Columns are found by the header's
names, since older compilers lack some (``is_scoped``).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from xla_dump_parser.errors import ParseError

ShapeIndex = tuple[int, ...]

BUFFERINFO_COLUMNS = (
    "buffer_id", "buffer_name", "alt_mem_benefit", "size", "definition_time", "use_times", "use_names",
)  # fmt: skip
ALLOCINFO_COLUMNS = ("buffer_id", "size", "offset", "start_time", "end_time")
SCHEDULEINFO_COLUMNS = ("time", "instruction_name")

_LARGEST = 2**62
_SITE = re.compile(r"\s*(\S+), operand (\d+)(?: (\{[\d,]*\}))?")


@dataclass(frozen=True, slots=True)
class OperandSite:
    """One operand of one instruction, as MSA names a use: ``while.2, operand 0 {1}``."""

    instruction: str
    operand: int
    index: ShapeIndex


@dataclass(frozen=True, slots=True)
class BufferInfo:
    """A value that MSA considered.

    Attributes:
        id: of the value; negative for a scoped reservation.
        name: MSA's name, e.g. ``<79 while.2{1} (phi)>``.
        benefit: alt_mem_benefit, seconds saved per square root of a byte unless scaling is off; 0 in some dumps.
        size: bytes.
        time: of the definition, in the schedule before MSA.
        use_times: one for each use.
        uses: of every value in the same buffer.
        scoped: whether this is a scoped reservation.
    """

    id: int
    name: str
    benefit: float
    size: int
    time: int
    use_times: tuple[int, ...]
    uses: tuple[OperandSite, ...]
    scoped: bool


@dataclass(frozen=True, slots=True)
class AllocationInfo:
    """One stay in fast memory: bytes ``[offset, offset + size)`` at times ``start`` to ``end``, both inclusive."""

    id: int
    size: int
    offset: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """The instruction at one time of the flattened schedule."""

    time: int
    instruction: str


def parse_shape_index(text: str | None) -> ShapeIndex:
    """``"{1,0}"`` as ``(1, 0)``; nothing or ``"{}"`` as ``()``."""
    digits = (text or "").strip("{}")
    return tuple(int(part) for part in digits.split(",")) if digits else ()


def parse_site(text: str) -> OperandSite | None:
    """The use that ``instruction, operand N {index}`` names, or None where the text is something else."""
    found = _SITE.fullmatch(text.rstrip())
    if not found or len(found[2]) > 9:
        return None
    return OperandSite(found[1], int(found[2]), parse_shape_index(found[3]))


def parse_bufferinfo(text: str, source: str = "bufferinfo") -> tuple[BufferInfo, ...]:
    """The rows of a bufferinfo table, in the order written.

    Raises:
        ParseError: the header or a row is not that of such a table.
    """
    return _rows(text.splitlines(), BUFFERINFO_COLUMNS, _buffer, source)


def parse_allocinfo(text: str, source: str = "allocinfo") -> tuple[AllocationInfo, ...]:
    """The rows of an allocinfo table, in the order written.

    Raises:
        ParseError: the header or a row is not that of such a table.
    """
    return _rows(text.splitlines(), ALLOCINFO_COLUMNS, _allocation, source)


def parse_scheduleinfo(text: str, source: str = "scheduleinfo") -> tuple[ScheduleEntry, ...]:
    """The rows of a scheduleinfo table, in the order written.

    Raises:
        ParseError: the header or a row is not that of such a table.
    """
    return _rows(text.splitlines(), SCHEDULEINFO_COLUMNS, _schedule_entry, source)


Row = TypeVar("Row")


def _rows(
    lines: Iterable[str], wanted: tuple[str, ...], read: Callable[[Mapping[str, str]], Row], source: str
) -> tuple[Row, ...]:
    columns: list[str] | None = None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            cells = next(csv.reader([line], strict=True))
        except (csv.Error, StopIteration) as error:
            raise ParseError(source, number, 1, f"not a table row: {error}") from None
        if columns is None:
            missing = [name for name in wanted if name not in cells]
            if missing:
                raise ParseError(source, number, 1, f"table header lacks {', '.join(missing)}")
            columns = cells
            continue
        if len(cells) != len(columns):
            raise ParseError(source, number, 1, f"table row has {len(cells)} cells, its header {len(columns)}")
        try:
            rows.append(read(dict(zip(columns, cells, strict=True))))
        except ValueError as error:
            raise ParseError(source, number, 1, f"bad table row: {error}") from None
    if columns is None:
        raise ParseError(source, 1, 1, "no table header")
    return tuple(rows)


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ValueError(f"number of {len(text)} characters")
    value = int(text)
    if abs(value) > _LARGEST:
        raise ValueError(f"number {text} out of range")
    return value


def _buffer(cells: Mapping[str, str]) -> BufferInfo:
    times = tuple(_integer(part) for part in cells["use_times"].split(";") if part)
    sites = []
    for part in cells["use_names"].split(";"):
        if not part:
            continue
        site = parse_site(part)
        if site is None:
            raise ValueError(f"not a use: {part[:60]!r}")
        sites.append(site)
    if len(times) != len(sites):
        raise ValueError(f"{len(times)} use times for {len(sites)} uses")
    return BufferInfo(
        id=_integer(cells["buffer_id"]),
        name=cells["buffer_name"],
        benefit=float(cells["alt_mem_benefit"]),
        size=_integer(cells["size"]),
        time=_integer(cells["definition_time"]),
        use_times=times,
        uses=tuple(sites),
        scoped=cells.get("is_scoped", "0") == "1",
    )


def _allocation(cells: Mapping[str, str]) -> AllocationInfo:
    return AllocationInfo(*(_integer(cells[name]) for name in ALLOCINFO_COLUMNS))


def _schedule_entry(cells: Mapping[str, str]) -> ScheduleEntry:
    return ScheduleEntry(_integer(cells["time"]), cells["instruction_name"])
