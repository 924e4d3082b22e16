"""The one error of this package."""

from __future__ import annotations

_SHOWN = 60

LONGEST = 1000
"""Characters of a message, whatever the text puts into it: a name may be as long as its file."""


class ParseError(Exception):
    """A text cannot be read. ``str()`` is one line: ``source:line:column: what is wrong and what to do``.

    A message of more than ``LONGEST`` characters comes without its middle.

    Attributes:
        source: file name, or ``"<string>"``.
        line: 1-based; 0 where the error is about the whole file.
        column: 1-based, in characters; 0 where the error is about the whole line or file.
        message: what is wrong and what to do.
    """

    def __init__(self, source: str, line: int, column: int, message: str) -> None:
        self.source = _one_line(source)
        self.line = line
        self.column = column
        self.message = _shortened(_one_line(message))
        super().__init__(f"{self.source}:{line}:{column}: {self.message}")

    def __reduce__(self) -> tuple[type[ParseError], tuple[str, int, int, str]]:
        return (ParseError, (self.source, self.line, self.column, self.message))


def quote(text: str) -> str:
    """``text`` in quotes on one line, cut to a length that fits in a message."""
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _shortened(text: str) -> str:
    end = LONGEST // 3
    return text if len(text) <= LONGEST else f"{text[: LONGEST - end - 5]} ... {text[-end:]}"
