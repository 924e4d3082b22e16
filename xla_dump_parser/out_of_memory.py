"""What the TPU compiler says of a program that does not fit: in its error message, and in its log."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xla_dump_parser.errors import ParseError, quote
from xla_dump_parser.memory_usage import SpaceUsage, parse_memory_usage_report

_SIZE = r"(\d{1,15}(?:\.\d{1,9})?) ?([KMGTP]?)(?:i?B)?"
_SAID = (
    re.compile(rf"Ran out of memory in memory space (?P<space>\w+)\. +Used {_SIZE} of {_SIZE} \w+\.", re.ASCII),
    re.compile(
        rf"Ran out of memory on (?P<space>\w+), the total memory required for [\w ]+ \({_SIZE}\) exceeds available \w+ "
        rf"\({_SIZE}\)",
        re.ASCII,
    ),
)
_MODULE = re.compile(r"HLO module: ([\w.\-]+?)\.?(?:\s|\Z)", re.ASCII)
_PLAIN_SIZE = re.compile(_SIZE, re.ASCII)
_PREFIX = re.compile(r"^.{0,80}?[\w./\-]+\.(?:cc|h|py):\d{1,9}\] ?")
_ROW = re.compile(r" *\d{1,9}\. Size: (.+)", re.ASCII)
_FIELD = re.compile(r" +(Operator|Shape|Unpadded size|XLA label|Allocation type): (.*)", re.ASCII)
_OPERATOR = re.compile(r'\b(op_name|source_file)="((?:[^"\\]|\\.)*)"|\bsource_line=(\d{1,9})', re.ASCII)
_REPORT = "Memory usage report:"
_FACTORS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}


@dataclass(frozen=True, slots=True)
class LargeAllocation:
    """One of the largest allocations that a message lists.

    Attributes:
        size: bytes, of a rounded figure.
        plain_size: without padding, likewise; ``size`` where it is not said.
        shape: as printed; may be a tuple's.
        op_name: of its instruction's metadata; empty without.
        source: ``file:line``; None without.
        label: its instruction, as far as printed.
        kind: such as ``"HLO temp"``.
    """

    size: int
    plain_size: int
    shape: str
    op_name: str
    source: str | None
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """A program that does not fit.

    Attributes:
        module: name of the program; empty where it is not said.
        space: as the compiler calls the memory, in small letters: ``"hbm"``.
        used: bytes that the program needs, of a rounded figure.
        available: bytes that there are, likewise.
        largest: allocations, in the order printed; empty where none are.
        report: the memory-usage report that logs have; empty without.
    """

    module: str
    space: str
    used: int
    available: int
    largest: tuple[LargeAllocation, ...]
    report: tuple[SpaceUsage, ...]


def says_out_of_memory(text: str) -> bool:
    """Whether a message or log says that a program does not fit."""
    return any(pattern.search(text) for pattern in _SAID)


def parse_out_of_memory(text: str, source: str = "<string>") -> OutOfMemory:
    """What an error message or a compile log says of the first program in it that does not fit.

    Raises:
        ParseError: it says so of none, or its memory-usage report is damaged.
    """
    found = min(
        (match for match in (pattern.search(text) for pattern in _SAID) if match),
        key=lambda match: match.start(),
        default=None,
    )
    if found is None:
        raise ParseError(source, 0, 0, "expected 'Ran out of memory ...'; is this a compile log or an error message?")
    lines = text[found.start() :].splitlines()
    module = _MODULE.search(lines[0])
    _, used, used_unit, available, available_unit = found.groups()
    return OutOfMemory(
        "" if module is None else module[1],
        found["space"].lower(),
        _bytes(used, used_unit),
        _bytes(available, available_unit),
        _largest([_PREFIX.sub("", line) for line in lines], source),
        _report(lines, source),
    )


def size_in_bytes(text: str, source: str = "<string>") -> int:
    """Bytes of a rounded figure as the compiler prints them: ``"1.50G"``, ``"3.50MiB"``, ``"512B"``.

    Raises:
        ParseError: it is none.
    """
    found = _PLAIN_SIZE.fullmatch(text)
    if found is None:
        raise ParseError(source, 0, 0, f"{quote(text)} is not a size such as 1.50G")
    return _bytes(*found.groups())


def _bytes(digits: str, unit: str) -> int:
    return round(float(digits) * _FACTORS[unit])


def _largest(lines: list[str], source: str) -> tuple[LargeAllocation, ...]:
    rows: list[dict[str, str]] = []
    for line in lines:
        if row := _ROW.fullmatch(line):
            rows.append({"Size": row[1].strip()})
        elif rows and (field := _FIELD.fullmatch(line)):
            rows[-1].setdefault(field[1], field[2].strip())
    return tuple(_allocation(row, source) for row in rows)


def _allocation(row: dict[str, str], source: str) -> LargeAllocation:
    metadata = {match[1] or "line": match[2] or match[3] for match in _OPERATOR.finditer(row.get("Operator", ""))}
    file, line = metadata.get("source_file"), metadata.get("line")
    return LargeAllocation(
        size=size_in_bytes(row["Size"], source),
        plain_size=size_in_bytes(row.get("Unpadded size", row["Size"]), source),
        shape=row.get("Shape", ""),
        op_name=metadata.get("op_name") or "",
        source=None if file is None or line is None else f"{file}:{line}",
        label=row.get("XLA label", ""),
        kind=row.get("Allocation type", ""),
    )


def _report(lines: list[str], source: str) -> tuple[SpaceUsage, ...]:
    """The report behind the message's first line, up to the next line of the log."""
    if not lines[0].rstrip().endswith(_REPORT):
        return ()
    end = next((number for number, line in enumerate(lines[1:], 1) if _PREFIX.match(line)), len(lines))
    return parse_memory_usage_report("\n".join(lines[1:end]), source)
