"""FileNames, FunctionNames, FileLocations and StackFrames: where in the user's program an instruction comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xla_dump_parser.errors import ParseError, quote
from xla_dump_parser.hlo import HloModule, Instruction

_NAME = re.compile(r'(\d{1,9}) "((?:[^"\\]|\\.)*)"', re.ASCII)
_LOCATION = re.compile(
    r"(\d{1,9}) \{file_name_id=(\d{1,9}) function_name_id=(\d{1,9}) line=(\d{1,9})\b[^{}]*\}", re.ASCII
)
_FRAME = re.compile(r"(\d{1,9}) \{file_location_id=(\d{1,9})(?: parent_frame_id=(\d{1,9}))?\}", re.ASCII)
_ENTRY = {"FileNames": _NAME, "FunctionNames": _NAME, "FileLocations": _LOCATION, "StackFrames": _FRAME}
_FRAME_ID = re.compile(r"\bstack_frame_id=(\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of the user's program."""

    file: str
    function: str
    line: int


class SourceLines:
    """The tables of one module. Raises ParseError if they are damaged."""

    def __init__(self, module: HloModule) -> None:
        tables: dict[str, dict[int, re.Match[str]]] = {name: {} for name in _ENTRY}
        for text in module.tables:
            heading, *rows = map(str.strip, text.splitlines())
            for row in rows if heading in _ENTRY else ():
                match = _ENTRY[heading].fullmatch(row)
                if match is None:
                    raise ParseError(module.source, 0, 0, f"{heading}: {quote(row)} is not a row of this table")
                tables[heading][int(match[1])] = match
        self._files = {id_: match[2] for id_, match in tables["FileNames"].items()}
        self._functions = {id_: match[2] for id_, match in tables["FunctionNames"].items()}
        self._locations = {id_: (int(m[2]), int(m[3]), int(m[4])) for id_, m in tables["FileLocations"].items()}
        self._frames = {id_: (int(m[2]), int(m[3] or 0)) for id_, m in tables["StackFrames"].items()}

    def of(self, instruction: Instruction) -> tuple[SourceLine, ...]:
        """The lines that an instruction comes from, innermost first; empty where its metadata names none.

        XLA writes a frame's parent as 1 + its number, 1 for none; a parent that is no smaller than its child ends the
        list, so a damaged table cannot make it endless.
        """
        match = _FRAME_ID.search(instruction.attributes.get("metadata", ""))
        frame = int(match[1]) if match else 0
        found: list[SourceLine] = []
        while frame in self._frames:
            location, parent = self._frames[frame]
            if location in self._locations:
                file, function, line = self._locations[location]
                found.append(SourceLine(self._files.get(file, ""), self._functions.get(function, ""), line))
            if parent - 1 >= frame:
                break
            frame = parent - 1
        return tuple(found)
