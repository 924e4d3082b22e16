"""The ``*-memory-usage-report.txt`` dump: bytes of every memory space and what takes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xla_dump_parser.errors import ParseError, quote

_SPACE = re.compile(r"Memory Space: (\S+) \(color=(\d{1,9})\)", re.ASCII)
_TOTAL = re.compile(r"Total bytes: (\d{1,18}) \([^()]*\)", re.ASCII)
_LEFT_OUT = re.compile(r"  The rest \d+ values are less than 5% of the total size and not shown\.", re.ASCII)
_ROW = re.compile(
    r" *([\d.]+ ?[KMGTP]?i?B)\( *(?:\d+|-?nan)%\); *([\d.]+ ?[KMGTP]?i?B); *(\d{1,18}); *(\d{1,18}); (.*)", re.ASCII
)
_COLUMNS = "  cumulative_size;       size;       offset; used_by_n_values; shapes_list"
_RULE = re.compile(r"  -+")


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Values that share one place in an allocation.

    Attributes:
        size: as printed, rounded: ``"3.50MiB"``.
        offset: bytes from the start of the allocation.
        values: how many values lie there, one after the other.
        shapes: their shapes, as printed: such as ``"pred[], s32[]"``.
    """

    size: str
    offset: int
    values: int
    shapes: str


@dataclass(frozen=True, slots=True)
class SpaceUsage:
    """One memory space.

    Attributes:
        name: such as ``"default"``, ``"vmem"``, ``"smem"``.
        memory_space: n of S(n).
        total_bytes: of all its allocations.
        allocations: the rows of each; XLA leaves out the smallest values.
    """

    name: str
    memory_space: int
    total_bytes: int
    allocations: tuple[tuple[UsageRow, ...], ...]


def parse_memory_usage_report(text: str, source: str = "<string>") -> tuple[SpaceUsage, ...]:
    """The memory spaces of a memory-usage report, in the order written.

    Raises:
        ParseError: not such a report, or cut off inside a memory space.
    """
    spaces: list[SpaceUsage] = []
    name, space, space_total = "", 0, -1
    tables: list[list[UsageRow]] = []

    def finish(number: int) -> None:
        if name:
            if space_total < 0:
                raise ParseError(
                    source, number, 1, f"memory space {quote(name)} has no 'Total bytes:'; is the text cut off?"
                )
            spaces.append(SpaceUsage(name, space, space_total, tuple(map(tuple, tables))))

    number = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or _RULE.fullmatch(line) or _LEFT_OUT.fullmatch(line):
            continue
        if match := _SPACE.fullmatch(line):
            finish(number)
            name, space, space_total, tables = match[1], int(match[2]), -1, []
        elif name and (match := _TOTAL.fullmatch(line)):
            space_total = int(match[1])
        elif name and line == _COLUMNS:
            tables.append([])
        elif tables and (match := _ROW.fullmatch(line)):
            tables[-1].append(UsageRow(match[2], int(match[3]), int(match[4]), match[5]))
        else:
            raise ParseError(source, number, 1, f"not a line of a memory-usage report: {quote(line)}")
    finish(number)
    if not spaces:
        raise ParseError(source, 1, 1, "expected 'Memory Space: NAME (color=N)'; is this a memory-usage report?")
    return tuple(spaces)
