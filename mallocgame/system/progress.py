"""Who is told what goes on."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Called with one line at a time."""


class Stage(str):
    """A line that says what goes on from now until the next line; any other line says what has happened."""

    __slots__ = ()


def silent(_: str) -> None:
    """Nobody is told."""


def within(name: str, progress: Progress) -> Progress:
    """Tells the same, each line after a name: of one of several things that are worked on."""
    return lambda line: progress(type(line)(f"{name}: {line}"))
