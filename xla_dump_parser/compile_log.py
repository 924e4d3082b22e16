"""What memory space assignment (MSA) says in a compile log.

The log is libtpu's stderr with ``TPU_VMODULE="op_cost=1,algorithm=3,simulator=3,memory_space_assignment=3,..."``. Lines
are told apart by their words, not by file and line number, which change with every version. Anything else in the text
is skipped, so a truncated or interleaved log gives fewer records and never a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from xla_dump_parser.errors import ParseError
from xla_dump_parser.log_records import (
    CompileLog,
    InitialResource,
    LoggedBuffer,
    LoggedCost,
    LoggedValue,
    PrefetchInterval,
    Reduction,
    RequiredAssignment,
)
from xla_dump_parser.msa_tables import (
    OperandSite,
    ShapeIndex,
    parse_allocinfo,
    parse_bufferinfo,
    parse_shape_index,
    parse_site,
)

__all__ = ["CompileLog", "LoggedCost", "parse_compile_log", "reduce_compile_log"]

MAX_LINE = 1 << 20
"""Characters; longer lines are skipped. The longest that carry records are use lists, far below."""

_PREFIX = re.compile(r"[IWEF]\d{4} [\d:.]+ +\d+ ")
_LOCATION = re.compile(r"[\w.\-/]+\.(?:cc|h):\d+\] ?")
_NUMBER = r"(-?[\d.]+(?:e[+-]?\d+)?)"
_VALUE = r"<(\d{1,18}) ([^\s{>]+)(\{[\d,]*\})?( \(phi\))?>"
_COST = re.compile(
    r"Cost for <type=([a-z-]+),computation=([^,<>]+),instruction=([^,<>]+),operand_num=(-|\d{1,9}),"
    rf"shape_index=(-|\{{[\d,]*\}})> is {_NUMBER}"
)
_RESOURCE = re.compile(rf"Initial resource\[(\d{{1,12}})\] = {_NUMBER} \((\S+)\)")
_OPTION = re.compile(r"([a-z_]+): (.*)")
_SEQUENCE = re.compile(r" *(\d{1,12}): (\S+) (\S+)")
_FINDING = re.compile(
    r"Finding allocation for .* use = (\S+, operand \d+(?: \{[\d,]*\})?)\. Size = (\d{1,18}), def pos = "
)
_PICKER = re.compile(
    rf"Trying prefetch picker = Async copy elapsed \(s\) = {_NUMBER}, inst elapsed reduction \(s\) = {_NUMBER},"
)
_INTERVAL = re.compile(rf"Interval min/max/preferred = {_NUMBER} {_NUMBER} {_NUMBER} prefetch time .*")
_REQUIRED = re.compile(
    rf"Adding required assignment for value : {_VALUE} required assignment: RequiredMemoryAssignment\("
    r"memory_space=(\w+), time=(\d{1,12}), offset=[^,]*, message=(.*)\)"
)
_SKIP = re.compile(rf"Skip {_VALUE} because (.*?)\.?")
_PROCESSING = re.compile(rf"Processing buffer: {_VALUE}")
_ALIASES = re.compile(rf" +(?:\[\d+, \d+\] : \S.* \(|buffer: )HloBuffer \d+, values: ({_VALUE}(?:, {_VALUE})*)[ )].*")
_VALUES = re.compile(_VALUE)
_POSITION = re.compile(r"  (\S+)(?: (\{[\d,]*\}))?")
_FROM = " from instruction:"
_BUFFER_HEADER = "buffer_id,buffer_name,"
_ALLOCATION_HEADER = "buffer_id,size,offset,"
_TABLE_ROW = re.compile(r"-?\d+,.*")


def parse_compile_log(text: str, source: str = "<log>") -> CompileLog:
    """The records of a compile log, whole or reduced by ``reduce_compile_log``.

    Raises:
        ParseError: two schedules in one log (two modules were compiled), or a damaged table.
    """
    reader = _Reader(source)
    for number, message in _messages(text):
        reader.read(number, message)
    return reader.finish()


def reduce_compile_log(text: str) -> str:
    """Only the lines that ``parse_compile_log`` reads, each repeated cost once; parses to the same records."""
    reader = _Reader("<log>")
    kept: list[str] = []
    seen: set[str] = set()
    for number, message in _messages(text):
        if not reader.read(number, message):
            continue
        if message.startswith("Cost for <"):
            if message in seen:
                continue
            seen.add(message)
        kept.append(_FROM if message.startswith(_FROM) else message)
    return "".join(line + "\n" for line in kept)


def _messages(text: str) -> Iterator[tuple[int, str]]:
    start = number = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        number += 1
        if end - start <= MAX_LINE:
            yield number, _message(text[start:end].rstrip("\r"))
        start = end + 1


def _message(line: str) -> str:
    prefix = _PREFIX.match(line)
    if not prefix:
        return line
    location = _LOCATION.match(line, prefix.end())
    return line[location.end() :] if location else line


class _Reader:
    """State while going through the lines; ``read`` tells whether a line was of use."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.costs: dict[tuple[str, str], dict[str, dict[tuple[int, ShapeIndex], float]]] = {}
        self.resources: list[InitialResource] = []
        self.reductions: list[Reduction] = []
        self.intervals: dict[PrefetchInterval, None] = {}
        self.options: dict[str, str] = {}
        self.sequence: list[tuple[str, str]] = []
        self.values: dict[LoggedValue, LoggedBuffer] = {}
        self.aliases: dict[tuple[LoggedValue, ...], None] = {}
        self.required: list[RequiredAssignment] = []
        self.skips: dict[LoggedValue, str] = {}
        self.buffer_rows: list[str] = []
        self.allocation_rows: list[str] = []
        self.finding: tuple[OperandSite, int] | None = None
        self.block: Callable[[str], bool] = self._no_block
        self.value: LoggedValue | None = None
        self.positions: list[tuple[str, ShapeIndex]] = []
        self.uses: list[OperandSite] = []
        self.starts: tuple[tuple[str, Callable[[int, str], bool]], ...] = (
            ("Cost for <", self._cost),
            ("Initial resource[", self._resource),
            ("Finding allocation for ", self._find),
            ("Trying prefetch picker = ", self._picker),
            ("Interval min/max/preferred = ", self._interval),
            ("Adding required assignment for value : ", self._require),
            ("Skip <", self._skip),
            ("Processing buffer: <", self._processing),
            (" [", self._alias),
            (" buffer: HloBuffer ", self._alias),
            ("Flattened instruction sequence:", self._flattened),
            ("memory_space_assignment_options::Options:", self._options),
            (_BUFFER_HEADER, self._buffer_table),
            (_ALLOCATION_HEADER, self._allocation_table),
        )

    def read(self, number: int, message: str) -> bool:
        for start, handle in self.starts:
            if message.startswith(start):
                self.block = self._no_block
                return handle(number, message)
        if self.block(message):
            return True
        self.block = self._no_block
        return False

    def finish(self) -> CompileLog:
        costs = {
            key: LoggedCost(
                compute_seconds=next(iter(kinds.get("compute-seconds", {}).values()), None),
                total_bytes=next(iter(kinds.get("total-bytes-accessed", {}).values()), None),
                operand_bytes=kinds.get("operand-bytes-accessed", {}),
                output_bytes={index: value for (_, index), value in kinds.get("output-bytes-accessed", {}).items()},
            )
            for key, kinds in self.costs.items()
        }
        buffers, allocations = "\n".join(self.buffer_rows), "\n".join(self.allocation_rows)
        return CompileLog(
            costs=costs,
            resources=tuple(self.resources),
            reductions=tuple(self.reductions),
            intervals=tuple(self.intervals),
            options=self.options,
            sequence=tuple(self.sequence),
            values=tuple(self.values.values()),
            aliases=tuple(self.aliases),
            required=tuple(self.required),
            skips=tuple(self.skips.items()),
            buffers=parse_bufferinfo(buffers, self.source) if buffers else (),
            allocations=parse_allocinfo(allocations, self.source) if allocations else (),
        )

    def _no_block(self, message: str) -> bool:
        return False

    def _cost(self, number: int, message: str) -> bool:
        found = _COST.fullmatch(message)
        if not found:
            return False
        kind, computation, instruction, operand, index, value = found.groups()
        amount = _amount(value)
        if amount is None:
            return False
        place = (0 if operand == "-" else int(operand), parse_shape_index(None if index == "-" else index))
        self.costs.setdefault((computation, instruction), {}).setdefault(kind, {})[place] = amount
        return True

    def _resource(self, number: int, message: str) -> bool:
        found = _RESOURCE.fullmatch(message)
        amount = _amount(found[2]) if found else None
        if not found or amount is None:
            return False
        time = int(found[1])
        if time == 0 and self.resources:
            raise ParseError(self.source, number, 1, "a second schedule starts: the log is of more than one compile")
        if time != len(self.resources):
            raise ParseError(self.source, number, 1, f"resource of time {time} where {len(self.resources)} is next")
        self.resources.append(InitialResource(time, amount, found[3]))
        return True

    def _find(self, number: int, message: str) -> bool:
        found = _FINDING.match(message)
        site = parse_site(found[1]) if found else None
        self.finding = (site, int(found[2])) if found and site else None
        return self.finding is not None

    def _picker(self, number: int, message: str) -> bool:
        found = _PICKER.match(message)
        if not found or self.finding is None:
            return False
        copy, reduction = _amount(found[1]), _amount(found[2])
        if copy is None or reduction is None:
            return False
        self.reductions.append(Reduction(*self.finding, copy, reduction))
        self.finding = None
        return True

    def _interval(self, number: int, message: str) -> bool:
        found = _INTERVAL.fullmatch(message)
        amounts = [_amount(text) for text in found.groups()] if found else []
        minimum, maximum, preferred = amounts or (None, None, None)
        if minimum is None or maximum is None or preferred is None:
            return False
        interval = PrefetchInterval(minimum, maximum, preferred)
        known = interval in self.intervals
        self.intervals[interval] = None
        return not known

    def _require(self, number: int, message: str) -> bool:
        found = _REQUIRED.fullmatch(message)
        if not found:
            return False
        self.required.append(RequiredAssignment(_value(found), found[5], int(found[6]), found[7]))
        return True

    def _skip(self, number: int, message: str) -> bool:
        found = _SKIP.fullmatch(message)
        if found:
            self.skips[_value(found)] = found[5]
        return found is not None

    def _processing(self, number: int, message: str) -> bool:
        found = _PROCESSING.fullmatch(message)
        if not found or _value(found) in self.values:
            return False
        self.value, self.positions, self.uses = _value(found), [], []
        self.block = self._value_head
        return True

    def _value_head(self, message: str) -> bool:
        if message != " positions:":
            return False
        self.block = self._value_position
        return True

    def _value_position(self, message: str) -> bool:
        if message == " uses:":
            self.block = self._value_use
            return True
        found = _POSITION.fullmatch(message)
        if not found:
            return False
        self.positions.append((found[1], parse_shape_index(found[2])))
        return True

    def _value_use(self, message: str) -> bool:
        if message.startswith(_FROM):
            if self.value is not None:
                self.values[self.value] = LoggedBuffer(self.value, tuple(self.positions), tuple(self.uses))
            self.block = self._no_block
            return True
        if message.strip() == "(none)":
            return True
        site = parse_site(message) if message.startswith("  ") else None
        if site is None:
            return False
        self.uses.append(site)
        return True

    def _alias(self, number: int, message: str) -> bool:
        found = _ALIASES.fullmatch(message)
        if not found:
            return False
        values = tuple(_value(value) for value in _VALUES.finditer(found[1]))
        known = values in self.aliases
        self.aliases[values] = None
        return not known

    def _flattened(self, number: int, message: str) -> bool:
        if self.sequence:
            raise ParseError(self.source, number, 1, "a second schedule starts: the log is of more than one compile")
        self.block = self._sequence_line
        return True

    def _sequence_line(self, message: str) -> bool:
        found = _SEQUENCE.fullmatch(message)
        if not found or int(found[1]) != len(self.sequence):
            return False
        self.sequence.append((found[2], found[3]))
        return True

    def _options(self, number: int, message: str) -> bool:
        self.block = self._option
        return True

    def _option(self, message: str) -> bool:
        found = _OPTION.fullmatch(message)
        if found:
            self.options.setdefault(found[1], found[2])
        return found is not None or not message.strip() or message.startswith("go/debugstr")

    def _buffer_table(self, number: int, message: str) -> bool:
        return self._table(self.buffer_rows, message)

    def _allocation_table(self, number: int, message: str) -> bool:
        return self._table(self.allocation_rows, message)

    def _table(self, rows: list[str], message: str) -> bool:
        rows[:] = [message]

        def row(line: str) -> bool:
            if not _TABLE_ROW.fullmatch(line):
                return False
            rows.append(line)
            return True

        self.block = row
        return True


def _value(found: re.Match[str]) -> LoggedValue:
    return LoggedValue(int(found[1]), found[2], parse_shape_index(found[3]), bool(found[4]))


def _amount(text: str) -> float | None:
    """A finite number; None for anything else, so that the line is skipped."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e300 else None
