"""The ``*-buffer-assignment.txt`` dump: allocations and the values that lie in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xla_dump_parser.errors import ParseError, quote
from xla_dump_parser.hlo import Shape
from xla_dump_parser.layout_text import ShapeError
from xla_dump_parser.shapes import ShapeIndex, read_shape

_ALLOCATION = re.compile(r"allocation (\d{1,18}): size (\d{1,18}), (.*):", re.ASCII)
_VALUE = re.compile(
    r" value: <(\d{1,18}) ([A-Za-z_][\w.\-]*)(\{[\d,]*\})?( \(phi\))? @(\d{1,9})> "
    r"\(size=(\d{1,18}),offset=(\d{1,18})\): (.+)",
    re.ASCII,
)
_COLOR = re.compile(r"(?:\A|, )color (\d{1,9})(?:,|\Z)", re.ASCII)
_PARAMETER = re.compile(r"(?:\A|, )parameter (\d{1,9})(?:,|\Z)", re.ASCII)


@dataclass(frozen=True, slots=True)
class AssignedValue:
    """A value in an allocation.

    Attributes:
        id: XLA's number of the value.
        instruction: that defines it.
        index: tuple index of its defining position.
        phi: whether it merges values (while, conditional).
        memory_space: n of S(n).
        size: padded bytes.
        offset: bytes from the start of the allocation.
        shape: with layout; a tuple shape for a tuple's index table.
    """

    id: int
    instruction: str
    index: ShapeIndex
    phi: bool
    memory_space: int
    size: int
    offset: int
    shape: Shape


@dataclass(frozen=True, slots=True)
class Allocation:
    """A block of one memory.

    Attributes:
        id: XLA's number.
        size: bytes.
        memory_space: n of S(n).
        parameter: number of the entry parameter that it is; None for others.
        kind: the rest of its line as text, such as ``"preallocated-temp"`` or ``"constant"``.
        values: in the order written.
    """

    id: int
    size: int
    memory_space: int
    parameter: int | None
    kind: str
    values: tuple[AssignedValue, ...]


def parse_buffer_assignment(text: str, source: str = "<string>") -> tuple[Allocation, ...]:
    """The allocations of a buffer-assignment dump, in the order written.

    Raises:
        ParseError: not such a dump, or a value outside its allocation.
    """
    lines = text.splitlines()
    if not lines or lines[0] != "BufferAssignment:":
        raise ParseError(source, 1, 1, "expected 'BufferAssignment:'; is this a buffer-assignment dump?")
    allocations: list[tuple[re.Match[str], list[AssignedValue]]] = []
    shapes: dict[str, Shape] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        if line.startswith("Total bytes used:"):
            break  # older versions go on with what is now in *-buffer-assignment-values.txt
        header = _ALLOCATION.fullmatch(line)
        if header is not None:
            allocations.append((header, []))
            continue
        match = _VALUE.fullmatch(line)
        if match is None or not allocations:
            raise ParseError(source, number, 1, f"expected 'allocation N: ...' or ' value: <...>', found {quote(line)}")
        value = _value(match, shapes, source, number)
        size = int(allocations[-1][0][2])
        if value.offset + value.size > size:
            raise ParseError(source, number, 1, f"value {value.instruction} ends after its allocation of {size} bytes")
        allocations[-1][1].append(value)
    if not allocations:
        raise ParseError(source, len(lines), 1, "no allocation; is the text cut off?")
    return tuple(_allocation(header, tuple(values)) for header, values in allocations)


def _allocation(header: re.Match[str], values: tuple[AssignedValue, ...]) -> Allocation:
    color, parameter = _COLOR.search(header[3]), _PARAMETER.search(header[3])
    return Allocation(
        id=int(header[1]),
        size=int(header[2]),
        memory_space=int(color[1]) if color else 0,
        parameter=int(parameter[1]) if parameter else None,
        kind=header[3],
        values=values,
    )


def _value(match: re.Match[str], shapes: dict[str, Shape], source: str, number: int) -> AssignedValue:
    id_, instruction, index, phi, space, size, offset, shape_text = match.groups()
    shape = shapes.get(shape_text)
    try:
        if shape is None:
            shape = shapes[shape_text] = read_shape(shape_text)
        path = tuple(int(part) for part in index[1:-1].split(",")) if index and index != "{}" else ()
    except ShapeError as error:
        raise ParseError(source, number, match.start(8) + error.position + 1, error.message) from None
    except ValueError:
        raise ParseError(source, number, match.start(3) + 1, f"{quote(index)} is not a tuple index") from None
    return AssignedValue(int(id_), instruction, path, phi is not None, int(space), int(size), int(offset), shape)
