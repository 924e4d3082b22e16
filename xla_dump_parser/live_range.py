"""The ``*-live-range.txt`` dump: the flattened schedule and the live range of every value."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xla_dump_parser.errors import ParseError, quote
from xla_dump_parser.shapes import ShapeIndex

_HEADER = re.compile(r"HloLiveRange \(max (\d{1,18})\):", re.ASCII)
_INSTRUCTION = re.compile(r"    (\d{1,18}):([A-Za-z_][\w.\-]*)", re.ASCII)
_RANGE = re.compile(r"    ([A-Za-z_][\w.\-]*)\{([\d,]*)\}:(\d{1,18})-(\d{1,18})", re.ASCII)
_PEAK = re.compile(r"  Live ranges at (\d{1,18}) \(peak\):", re.ASCII)
_LIVE = re.compile(r"    ([A-Za-z_][\w.\-]*)\{([\d,]*)\}: (\d{1,18}) bytes \(cumulative: (\d{1,18}) bytes\)", re.ASCII)


@dataclass(frozen=True, slots=True)
class LiveRange:
    """A value and the first and last time, both included, at which it must exist."""

    instruction: str
    index: ShapeIndex
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class LiveValue:
    """A value that is live at the peak. ``size``: unpadded bytes."""

    instruction: str
    index: ShapeIndex
    size: int


@dataclass(frozen=True, slots=True)
class LiveRanges:
    """What a live-range dump says.

    Attributes:
        schedule: instruction names; the index is the time.
        ranges: of every value, in the order written.
        max_time: time at which the module ends: the length of the schedule.
        peak_time: when most bytes are live; None where the dump does not say.
        live_at_peak: the values live then, in the order written.
    """

    schedule: tuple[str, ...]
    ranges: tuple[LiveRange, ...]
    max_time: int
    peak_time: int | None
    live_at_peak: tuple[LiveValue, ...]


def parse_live_range(text: str, source: str = "<string>") -> LiveRanges:
    """The records of a live-range dump. The stack traces at its end are not read.

    Raises:
        ParseError: not such a dump, times that are not 0, 1, 2, ..., or ranges outside the schedule.
    """
    lines = text.splitlines()
    header = _HEADER.fullmatch(lines[0]) if lines else None
    if header is None:
        raise ParseError(source, 1, 1, "expected 'HloLiveRange (max N):'; is this a live-range dump?")
    max_time = int(header[1])
    at = 1
    schedule: list[str] = []
    if lines[at : at + 1] != ["  InstructionSequence:"]:
        raise ParseError(source, 2, 1, "expected '  InstructionSequence:'; is the text cut off?")
    at += 1
    while at < len(lines) and (match := _INSTRUCTION.fullmatch(lines[at])):
        if int(match[1]) != len(schedule):
            raise ParseError(
                source, at + 1, 5, f"time {match[1]} where {len(schedule)} is due; lines are missing or moved"
            )
        schedule.append(match[2])
        at += 1
    if lines[at : at + 1] != ["  BufferLiveRange:"]:
        raise _unexpected(source, lines, at, "'    TIME:INSTRUCTION' or '  BufferLiveRange:'")
    if len(schedule) != max_time:
        raise ParseError(source, at + 1, 1, f"{len(schedule)} instructions, but the first line says {max_time}")
    at += 1
    ranges: list[LiveRange] = []
    while at < len(lines) and (match := _RANGE.fullmatch(lines[at])):
        start, end = int(match[3]), int(match[4])
        if not start <= end <= max_time:
            raise ParseError(source, at + 1, 5, f"live range {start}-{end} is not within 0-{max_time}")
        ranges.append(LiveRange(match[1], _index(match[2], source, at), start, end))
        at += 1
    peak = _PEAK.fullmatch(lines[at]) if at < len(lines) else None
    if peak is None:
        raise _unexpected(source, lines, at, "'    VALUE{INDEX}:START-END' or '  Live ranges at N (peak):'")
    at += 1
    live: list[LiveValue] = []
    while at < len(lines) and (match := _LIVE.fullmatch(lines[at])):
        live.append(LiveValue(match[1], _index(match[2], source, at), int(match[3])))
        at += 1
    if at < len(lines) and not lines[at].startswith("  Stack trace breakdown"):
        raise _unexpected(source, lines, at, "'    VALUE{INDEX}: N bytes (cumulative: N bytes)'")
    return LiveRanges(tuple(schedule), tuple(ranges), max_time, int(peak[1]), tuple(live))


def _index(text: str, source: str, at: int) -> ShapeIndex:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ParseError(source, at + 1, 1, f"{quote('{' + text + '}')} is not a tuple index") from None


def _unexpected(source: str, lines: list[str], at: int, expected: str) -> ParseError:
    if at >= len(lines):
        return ParseError(source, len(lines), 1, f"expected {expected}; the text is cut off")
    return ParseError(source, at + 1, 1, f"expected {expected}, found {quote(lines[at])}")
