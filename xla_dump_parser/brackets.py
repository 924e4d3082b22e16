"""Finding where a bracketed or quoted piece of HLO text ends, without recursion."""

from __future__ import annotations

import re

MAX_DEPTH = 1000
"""Brackets nested deeper than this are refused."""

_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_FLAT = r'[^()\[\]{}"/]*+'
_SKIPPED = rf'"(?>(?:[^"\\]|\\.)*)"|/\*.*?\*/|//[^\n]*+|/(?![*/])|\({_FLAT}\)|\[{_FLAT}\]|\{{{_FLAT}\}}'
_OUTSIDE = re.compile(rf'(?>(?:[^()\[\]{{}}",\n/]++|{_SKIPPED})*)([()\[\]{{}}",\n/])', re.DOTALL)
_INSIDE = re.compile(rf'(?>(?:[^()\[\]{{}}"/]++|{_SKIPPED})*)([()\[\]{{}}"/])', re.DOTALL)
"""The next character that opens, closes or separates; strings, comments and brackets without inner ones are skipped.

Atomic groups, here and in this package's other patterns: before Python 3.11.5 a possessive repeat of a group that can
backtrack matches wrongly (CPython issue 106052).
"""


class BracketError(ValueError):
    """Brackets or quotes do not match. ``position`` is in the text that was searched."""

    def __init__(self, position: int, message: str) -> None:
        self.position = position
        self.message = message
        super().__init__(message)


def find_top_level(text: str, position: int, end: int, stops: str) -> int:
    """The position of the first character of ``stops`` outside brackets, strings and comments; ``end`` if none.

    ``stops`` may hold ``,``, a line end, and closing brackets that were opened before ``position``.

    Raises:
        BracketError: a bracket that closes nothing or is never closed, or a string without end.
    """
    closers: list[tuple[str, int]] = []
    while (token := (_INSIDE if closers else _OUTSIDE).match(text, position, end)) is not None:
        kind, at, position = token[1], token.start(1), token.end()
        if not closers and kind in stops:
            return at
        if kind in _CLOSERS:
            if len(closers) == MAX_DEPTH:
                raise BracketError(at, f"brackets nested deeper than {MAX_DEPTH}")
            closers.append((_CLOSERS[kind], at))
        elif kind in ")]}":
            if not closers or closers.pop()[0] != kind:
                raise BracketError(at, f"{kind!r} closes nothing that is open here")
        elif kind == '"':
            raise BracketError(at, "a string without a closing quote")
        elif kind == "/":
            raise BracketError(at, "a comment without an end")
    if closers:
        raise BracketError(closers[-1][1], f"no {closers[-1][0]!r} for this bracket; is the text cut off?")
    return end


def split_top_level(text: str, position: int, end: int) -> list[tuple[int, int]]:
    """(start, end) of the pieces between top-level commas of ``text[position:end]``."""
    pieces: list[tuple[int, int]] = []
    while True:
        stop = find_top_level(text, position, end, ",")
        pieces.append((position, stop))
        if stop == end:
            return pieces
        position = stop + 1
