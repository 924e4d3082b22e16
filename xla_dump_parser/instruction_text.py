"""Instructions, ``ROOT %name = shape opcode(operands), attributes``, mostly one a line: the reader's inner loop."""

from __future__ import annotations

import re
from collections.abc import Iterator

from xla_dump_parser.attributes import attributes_end
from xla_dump_parser.brackets import BracketError, find_top_level, split_top_level
from xla_dump_parser.errors import quote
from xla_dump_parser.hlo import TupleShape
from xla_dump_parser.layout_text import ShapeError
from xla_dump_parser.operand_counts import LEAST_OPERANDS
from xla_dump_parser.shapes import format_shape, read_shape

Line = tuple[str, str, str, tuple[str, ...], str | None, bool, int, tuple[int, int] | dict[str, str]]
"""name, opcode, text of the shape, operands, literal, is_root, line number, attributes: (start, end) of their text."""

_FLAT = r"[^()\n\"]*+"
_PAREN = rf"\({_FLAT}(?>(?:\({_FLAT}\){_FLAT})*)\)"
_LINE = re.compile(
    r"[ \t]*+(ROOT )?(%?[A-Za-z_][\w.\-]*+) = "  # name
    r"((?>(?:[^ \n]*, )*)[^ \n]++) "  # shape: a blank inside it comes after a comma
    r"([a-z][a-z0-9\-]*+)"  # opcode
    rf"\(({_FLAT}(?>(?:{_PAREN}{_FLAT})*))\)(?=[,\n]|\Z)",  # operands, with at most two levels of brackets in them
    re.ASCII,
)
_GAP = re.compile(r"(?>(?:\s|//[^\n]*+|/\*.*?\*/)*)", re.DOTALL)
_NEXT = re.compile(r"\n[ \t]*+(?:ROOT )?%?[A-Za-z_][\w.\-]*+ = ", re.ASCII)
"""What mostly follows an instruction: another. Anything else may be the rest of a wrapped one."""
_INLINE_GAP = r"(?>(?:\s|//[^\n]*+|/\*.*?\*/)*)"
_START = re.compile(rf"(ROOT\s++)?(%?[A-Za-z_][\w.\-]*+){_INLINE_GAP}={_INLINE_GAP}", re.ASCII | re.DOTALL)
_OPCODE = re.compile(rf"{_INLINE_GAP}([a-z][a-z0-9\-]*+){_INLINE_GAP}\(", re.ASCII | re.DOTALL)
_ARRAY = re.compile(r"[a-z]\w*\[[^\[\]\n]*\]", re.ASCII)
_OPERAND = re.compile(r"%?([A-Za-z_][\w.\-]*)((?:#\d+)*)\Z", re.ASCII)
_WRITTEN = re.compile(r"^[ \t]*+(?:ROOT[ \t]++)?%?([A-Za-z_][\w.\-]*+)[ \t]*+=", re.ASCII | re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*+", re.DOTALL)
_LITERALS = frozenset({"constant", "parameter"})
_NUMBER = re.compile(r"\s*[0-9]{1,9}\s*")


def read_lines(text: str, position: int, end: int, line: int) -> Iterator[Line]:
    """The instructions in ``text[position:end]``, which starts on line number ``line``.

    Raises:
        BracketError: not an instruction, a name used twice, an operand that is not defined above it, fewer operands
            than its opcode needs, or a parameter without a number.
    """
    names: dict[str, str] = {}  # a name as written -> the name without %
    texts: dict[str, str] = {}  # one string object for each distinct shape and opcode
    elements = _Elements(text, position, end)
    match_line, is_followed, find, count = _LINE.match, _NEXT.match, text.find, text.count
    least_operands = LEAST_OPERANDS.get
    if text.startswith("\n", position):
        position += 1
        line += 1
    while position < end:
        match = match_line(text, position, end)
        if match is None:
            start = _skip(text, position, end)
            line += count("\n", position, start)
            if start == end:
                return
            root, written, shape, opcode, inside, attributes = _read_slowly(text, start, end)
            stop = attributes_end(text, attributes, end)
            lines = 1 + count("\n", start, stop)
        else:
            root, written, shape, opcode, inside = match.groups()
            start = match.start(2)
            attributes = match.end()
            stop = find("\n", attributes, end)
            lines = 1
            if stop < 0:
                stop = end
            elif text[stop - 1] in ",={([" or not (text.startswith("  %", stop + 1) or is_followed(text, stop)):
                stop = attributes_end(text, attributes, end)
                lines += count("\n", attributes, stop)
        literal = None
        operands: tuple[str, ...] = ()
        if opcode in _LITERALS:
            literal = inside
            if opcode == "parameter" and not _NUMBER.fullmatch(inside):
                raise BracketError(start, f"the number of a parameter was expected, not {quote(inside)}")
        elif inside:
            try:
                operands = tuple([names[operand] for operand in inside.split(", ")])
            except KeyError:
                operands = _read_operands(inside, names, start, elements)
                yield from elements.take_new(names, line)
        if len(operands) < least_operands(opcode, 0):
            raise BracketError(start, _too_few(opcode, written, len(operands)))
        if written in names:
            raise BracketError(start, f"instruction {quote(written)} appears twice")
        name = names[written] = written[1:] if written[0] == "%" else written
        shape = texts.setdefault(shape, shape)
        elements.shapes[name] = shape
        yield (
            name,
            texts.setdefault(opcode, opcode),
            shape,
            operands,
            literal,
            root is not None,
            line,
            (attributes, stop),
        )
        line += lines
        position = stop + 1


def _too_few(opcode: str, name: str, count: int) -> str:
    return f"{opcode} {quote(name.lstrip('%'))} has operands: {count}, it needs at least {LEAST_OPERANDS[opcode]}"


def _read_slowly(text: str, start: int, end: int) -> tuple[str | None, str, str, str, str, int]:
    """root, written name, shape, opcode, text between the brackets, position after them; of any instruction."""
    match = _START.match(text, start, end)
    if match is None:
        raise BracketError(start, f"expected '%name = shape opcode(operands)', found {quote(text[start : start + 50])}")
    after = shape_end(text, match.end(), end)
    opcode = _OPCODE.match(text, after, end)
    if opcode is None:
        raise BracketError(after, f"expected ' opcode(' after the shape, found {quote(text[after : after + 50])}")
    close = find_top_level(text, opcode.end(), end, ")")
    if close == end:
        raise BracketError(opcode.end() - 1, "no ')' for this bracket; is the text cut off?")
    return match[1], match[2], text[match.end() : after], opcode[1], text[opcode.end() : close], close + 1


def shape_end(text: str, start: int, end: int) -> int:
    """The end of the shape that starts at ``start``. Raises BracketError."""
    if text.startswith(("(", "b("), start):
        return min(find_top_level(text, text.index("(", start) + 1, end, ")") + 1, end)
    match = _ARRAY.match(text, start, end)
    if match is None:
        raise BracketError(
            start, f"expected a shape such as f32[8,128]{{1,0}}, found {quote(text[start : start + 50])}"
        )
    if text.startswith("{", match.end(), end):
        return min(find_top_level(text, match.end() + 1, end, "}") + 1, end)
    return match.end()


def _read_operands(inside: str, names: dict[str, str], start: int, elements: _Elements) -> tuple[str, ...]:
    """Operand names from any of XLA's forms: with comments, with their shapes before them, with or without ``%``."""
    found: list[str] = []
    try:
        pieces = split_top_level(inside, 0, len(inside))
    except BracketError as error:
        raise BracketError(start, f"operands: {error.message}") from None
    for first, last in pieces:
        words = _COMMENT.sub(" ", inside[first:last]).split()
        match = _OPERAND.match(words[-1]) if words else None
        if match is None:
            if not words and len(pieces) == 1:
                return ()
            raise BracketError(start, f"{quote(inside[first:last])} is not an operand")
        name = names.get("%" + match[1]) or names.get(match[1])
        if name is None:
            raise BracketError(start, f"operand {quote(match[1])} is not defined above this instruction")
        for number in match[2].split("#")[1:]:
            name = elements.element(name, number, start)
        found.append(name)
    return tuple(found)


class _Elements:
    """The get-tuple-elements that newer texts leave out: they write ``%x#1`` for element 1 of ``%x`` as an operand.

    They become instructions of their own, ``x_1``, before the first that reads them (as XLA's own reader does).
    """

    def __init__(self, text: str, start: int, end: int) -> None:
        self.shapes: dict[str, str] = {}
        self._body = (text, start, end)
        self._taken: set[str] = set()
        self._names: dict[tuple[str, str], str] = {}
        self._new: list[tuple[str, str, str, str]] = []

    def element(self, name: str, number: str, start: int) -> str:
        """The name of the instruction that is element ``number`` of ``name``."""
        known = self._names.get((name, number))
        if known is not None:
            return known
        if not self._taken:
            text, first, last = self._body
            self._taken = set(_WRITTEN.findall(text, first, last))
        shape = _element_shape(self.shapes[name], number, start)
        base = fresh = f"{name}_{number}"
        suffix = 0
        while fresh in self._taken:
            suffix += 1
            fresh = f"{base}.{suffix}"
        self._taken.add(fresh)
        self._names[name, number] = fresh
        self.shapes[fresh] = shape
        self._new.append((fresh, shape, name, number))
        return fresh

    def take_new(self, names: dict[str, str], line: int) -> Iterator[Line]:
        """The instructions made since the last call."""
        for fresh, shape, name, number in self._new:
            names["%" + fresh] = fresh
            yield fresh, "get-tuple-element", shape, (name,), None, False, line, {"index": number}
        self._new.clear()


def _element_shape(text: str, number: str, start: int) -> str:
    try:
        shape = read_shape(text)
    except ShapeError as error:
        raise BracketError(start, error.message) from None
    if not isinstance(shape, TupleShape) or int(number[:19]) >= len(shape.elements):
        raise BracketError(start, f"operand #{number[:19]}: {quote(text)} has no such element")
    return format_shape(shape.elements[int(number)])


def _skip(text: str, position: int, end: int) -> int:
    match = _GAP.match(text, position, end)
    return position if match is None else match.end()
