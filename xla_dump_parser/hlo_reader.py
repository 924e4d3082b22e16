"""Reads HLO text as XLA writes it into the records of ``hlo``.

Reading a module only finds where its computations are; a computation's instructions are read when they are asked for,
and an instruction's shape and attributes when those are. An error in a part is raised when that part is read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

from xla_dump_parser.attributes import attributes_end, called_names, read_attributes
from xla_dump_parser.brackets import BracketError, find_top_level
from xla_dump_parser.errors import ParseError, quote
from xla_dump_parser.hlo import HloModule, Shape
from xla_dump_parser.instruction_text import read_lines, shape_end
from xla_dump_parser.layout_text import ShapeError
from xla_dump_parser.shapes import read_shape
from xla_dump_parser.text import locate, plain_text, read_text

MAX_COMPUTATIONS = 1_000_000
"""Modules with more computations are refused."""

_GAP = re.compile(r"(?>(?:\s|//[^\n]*+|/\*.*?\*/)*)", re.DOTALL)
_MODULE = re.compile(r"HloModule[ \t]++([\w.\-]++)", re.ASCII)
_COMPUTATION = re.compile(r"(ENTRY\s++)?%?([A-Za-z_][\w.\-]*+)\s*+(?=[({])", re.ASCII)
_ROW = r"\n(?![ \t]*+(?:\n|\Z|%|ENTRY\b)|[^\n]*\{[ \t]*+(?:\n|\Z))[^\n]*+"
_TABLE = re.compile(rf"[A-Za-z_][\w.\-]*+[ \t]*+:?[ \t]*+(?=\n|\Z)(?>(?:{_ROW})*)", re.ASCII)
_BLOCK = re.compile(r"[A-Za-z_][\w.\-]*+[ \t]*+[:=]\s*+\{", re.ASCII)
_BLANK = re.compile(r"[ \t]*+(?=\n|//|\Z)")
_BODY_END = re.compile(r"\n[ \t]*+\}(?:\s*+,\s*+execution_thread=\"[^\"\n]*+\")?[ \t]*+(?=\n|//|\Z)")


class TextModule:
    """An HloModule read from a text. See ``hlo.HloModule`` for the attributes.

    Attributes:
        text: the whole text.
        tables: texts of the tables outside computations, in the order written, also of those with unknown names.
    """

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.shapes: dict[str, Shape] = {}
        start = _skip(text, 0)
        match = _MODULE.match(text, start)
        if match is None:
            raise self.error(start, "expected 'HloModule NAME' at the start; is this an HLO text?")
        self.name: str = match[1]
        try:
            header_end = attributes_end(text, match.end(), len(text))
        except BracketError as error:
            raise self.error(error.position, f"module header: {error.message}") from None
        self._header_span = (match.end(), header_end)
        self.tables, found = self._find_computations(header_end)
        self.computations: Mapping[str, TextComputation] = MappingProxyType(found)
        entries = [computation for computation in found.values() if computation.is_entry]
        if len(entries) != 1:
            raise self.error(
                start, f"{len(entries) or 'no'} ENTRY computations, expected 1; is the text cut off or mixed?"
            )
        self.entry = entries[0]

    @cached_property
    def header(self) -> Mapping[str, str]:
        """Attributes after the module's name, raw text by name. Raises ParseError."""
        try:
            return MappingProxyType(read_attributes(self.text, *self._header_span))
        except BracketError as error:
            raise self.error(error.position, f"module header: {error.message}") from None

    @property
    def is_scheduled(self) -> bool:
        """Whether the header says that the order of instructions is the schedule. Raises ParseError."""
        return self.header.get("is_scheduled") == "true"

    def error(self, position: int, message: str) -> ParseError:
        """The error for what is at a position of the text."""
        return ParseError(self.source, *locate(self.text, position), message)

    def _find_computations(self, position: int) -> tuple[tuple[str, ...], dict[str, TextComputation]]:
        text = self.text
        tables: list[str] = []
        found: dict[str, TextComputation] = {}
        absent: set[str] = set()
        line, counted = 1, 0
        while True:
            position = _skip(text, position)
            if position == len(text):
                return tuple(tables), found
            match = _COMPUTATION.match(text, position)
            body = -1 if match is None else _body_start(text, match.end())
            if match is None or body < 0:
                end = self._table_end(position)
                tables.append(text[position:end])
                position = end
                continue
            end, after = _body_end(text, position, body, absent)
            if end < 0:
                raise self.error(position, f"computation {quote(match[2])} has no closing brace; is the text cut off?")
            if len(found) == MAX_COMPUTATIONS:
                raise self.error(position, f"more than {MAX_COMPUTATIONS} computations")
            line += text.count("\n", counted, position)
            counted = position
            name = match[2]
            if name in found:
                raise self.error(position, f"computation {quote(name)} appears twice; are two modules mixed?")
            found[name] = TextComputation(self, name, match[1] is not None, len(found), line, position, body, end)
            position = after

    def _table_end(self, position: int) -> int:
        """Where a table ends: a name, then rows up to a blank line or a computation, or a block in brackets."""
        try:
            if _BLOCK.match(self.text, position) is not None:
                return attributes_end(self.text, position, len(self.text))
        except BracketError as error:
            raise self.error(error.position, error.message) from None
        table = _TABLE.match(self.text, position)
        if table is None:
            found = quote(self.text[position : position + 50])
            raise self.error(position, f"expected a computation, found {found}")
        return table.end()


class TextComputation:
    """A Computation of a TextModule. See ``hlo.Computation`` for the attributes.

    Attributes:
        module: that it is in.
        number: its place among the module's computations.
        line: 1-based line of its header.
    """

    def __init__(
        self, module: TextModule, name: str, is_entry: bool, number: int, line: int, start: int, body: int, end: int
    ) -> None:
        self.module = module
        self.name = name
        self.is_entry = is_entry
        self.number = number
        self.line = line
        self._start = start
        self._body = body
        self._end = end

    def error(self, line: int, near: str, offset: int, message: str) -> ParseError:
        """The error for the place ``offset`` characters after the first ``near`` on a line of this computation."""
        position = self._start
        for _ in range(line - self.line):
            position = self.module.text.find("\n", position) + 1
        found = self.module.text.find(near, position)
        return self.module.error(position if found < 0 else found + offset, message)

    @cached_property
    def instructions(self) -> tuple[TextInstruction, ...]:
        """In the order written. Raises ParseError."""
        text = self.module.text
        try:
            first = self.line + text.count("\n", self._start, self._body)
            read = tuple([TextInstruction(self, *line) for line in read_lines(text, self._body, self._end, first)])
        except BracketError as error:
            raise self.module.error(error.position, error.message) from None
        if not read:
            raise self.module.error(self._start, f"computation {quote(self.name)} has no instructions")
        return read

    @cached_property
    def root(self) -> TextInstruction:
        """The ROOT instruction, else the last. Raises ParseError."""
        roots = [instruction for instruction in self.instructions if instruction.is_root]
        if len(roots) > 1:
            raise self.error(roots[1].line, "ROOT", 0, f"computation {quote(self.name)} has two ROOTs")
        return roots[0] if roots else self.instructions[-1]

    @cached_property
    def by_name(self) -> Mapping[str, TextInstruction]:
        """Instructions by name. Raises ParseError."""
        return MappingProxyType({instruction.name: instruction for instruction in self.instructions})

    @cached_property
    def users(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the instructions that read each instruction, each once, in order. Raises ParseError."""
        found: dict[str, list[str]] = {instruction.name: [] for instruction in self.instructions}
        for instruction in self.instructions:
            for operand in dict.fromkeys(instruction.operands):
                found[operand].append(instruction.name)
        return MappingProxyType({name: tuple(names) for name, names in found.items()})

    def renamed(self, names: Mapping[str, str]) -> TextComputation:
        """The same computation with other names for some of its instructions. Raises ParseError."""
        place = (self.number, self.line, self._start, self._body, self._end)
        other = TextComputation(self.module, self.name, self.is_entry, *place)
        other.instructions = tuple(step.renamed(other, names) for step in self.instructions)
        return other


class TextInstruction:
    """An Instruction of a TextComputation. See ``hlo.Instruction`` for the attributes."""

    __slots__ = (
        "_attributes", "computation", "is_root", "line", "literal", "name", "opcode", "operands", "shape_text",
    )  # fmt: skip

    def __init__(
        self,
        computation: TextComputation,
        name: str,
        opcode: str,
        shape_text: str,
        operands: tuple[str, ...],
        literal: str | None,
        is_root: bool,
        line: int,
        attributes: tuple[int, int] | Mapping[str, str],
    ) -> None:
        self.computation = computation
        self.name = name
        self.opcode = opcode
        self.shape_text = shape_text
        self.operands = operands
        self.literal = literal
        self.is_root = is_root
        self.line = line
        self._attributes: tuple[int, int] | Mapping[str, str] = attributes

    @property
    def shape(self) -> Shape:
        """Of the result. Raises ParseError."""
        shapes = self.computation.module.shapes
        shape = shapes.get(self.shape_text)
        if shape is None:
            try:
                shape = shapes[self.shape_text] = read_shape(self.shape_text)
            except ShapeError as error:
                raise self.computation.error(self.line, self.shape_text, error.position, error.message) from None
        return shape

    @property
    def attributes(self) -> Mapping[str, str]:
        """Attributes after the operands, raw text by name, in the order written. Raises ParseError."""
        if isinstance(self._attributes, tuple):
            module = self.computation.module
            try:
                self._attributes = MappingProxyType(read_attributes(module.text, *self._attributes))
            except BracketError as error:
                raise module.error(error.position, error.message) from None
        return self._attributes

    @property
    def backend_config(self) -> Mapping[str, Any]:
        """The JSON of the backend_config attribute; empty where there is none or it is not JSON. Raises ParseError."""
        text = self.attributes.get("backend_config", "")
        if not text.startswith("{"):
            return MappingProxyType({})
        try:
            return MappingProxyType(json.loads(text))
        except (ValueError, RecursionError) as error:
            message = f"backend_config of {quote(self.name)} is not JSON: {error}"
            raise self.computation.error(self.line, "backend_config=", 0, message) from None

    @property
    def called(self) -> tuple[str, ...]:
        """Names of the called computations, which stand earlier in the text. Raises ParseError."""
        names = called_names(self.attributes)
        own = self.computation
        for name in names:
            callee = own.module.computations.get(name)
            if callee is None:
                problem = "which the module does not have; is the text cut off?"
            elif callee.number >= own.number:
                problem = "which does not stand before its caller"
            else:
                continue
            raise own.error(self.line, f"%{name}", 0, f"{quote(self.name)} calls computation {quote(name)}, {problem}")
        return names

    def renamed(self, computation: TextComputation, names: Mapping[str, str]) -> TextInstruction:
        """The same instruction in ``computation``, with the new names of itself and its operands."""
        return TextInstruction(
            computation,
            names.get(self.name, self.name),
            self.opcode,
            self.shape_text,
            tuple(names.get(operand, operand) for operand in self.operands),
            self.literal,
            self.is_root,
            self.line,
            self._attributes,
        )

    def __repr__(self) -> str:
        return f"<{self.name} = {self.shape_text} {self.opcode}({', '.join(self.operands)}), line {self.line}>"


def parse_hlo(text: str, source: str = "<string>") -> HloModule:
    """The module that an HLO text says.

    Args:
        text: of a scheduled or unscheduled module of any target.
        source: file name for error messages.

    Raises:
        ParseError: the text is not HLO. Errors inside a computation are raised when it is read.
    """
    return TextModule(plain_text(text), source)


def read_hlo(path: str | os.PathLike[str]) -> HloModule:
    """The module in a file, plain or gzip. Raises ParseError."""
    return parse_hlo(read_text(path), os.fspath(path))


def _skip(text: str, position: int) -> int:
    match = _GAP.match(text, position)
    return position if match is None else match.end()


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _body_start(text: str, position: int) -> int:
    """The position after the opening brace of a computation whose name ends at ``position``; -1 where it has none."""
    brace = _line_end(text, position) - 1
    while text[brace] in " \t":
        brace -= 1
    if text[brace] == "{":
        return brace + 1
    try:
        if text.startswith("(", position):
            position = _skip(text, find_top_level(text, position + 1, len(text), ")") + 1)
            if text.startswith("->", position):
                position = _skip(text, shape_end(text, _skip(text, position + 2), len(text)))
    except BracketError:
        return -1
    return position + 1 if text.startswith("{", position) else -1


def _body_end(text: str, start: int, body: int, absent: set[str]) -> tuple[int, int]:
    """Where the instructions of a computation end, and where what closes it does; -1 where nothing closes it.

    The closing brace is as far from the left as the computation's first line; a line of a literal may be one, too.
    ``absent`` has the closing lines that the rest of the text lacks, so that none is sought for each computation.
    """
    if _BLANK.match(text, body) is None:  # all on one line
        try:
            end = find_top_level(text, body, len(text), "}")
        except BracketError:
            end = len(text)
        return (end, end + 1) if end < len(text) else (-1, -1)
    indent = text[text.rfind("\n", 0, start) + 1 : start]
    closing_line = f"\n{indent}}}" if indent.isspace() else "\n}"
    end, closing = -1 if closing_line in absent else text.find(closing_line, body), None
    while end >= 0 and closing is None:
        closing = _BODY_END.match(text, end)
        end = text.find(closing_line, end + 1) if closing is None else end
    if closing is None:
        absent.add(closing_line)
        closing = _BODY_END.search(text, body)
    return (-1, -1) if closing is None else closing.span()
