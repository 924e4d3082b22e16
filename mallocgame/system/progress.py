"""Who is told what goes on."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Called with one line at a time."""


def silent(_: str) -> None:
    """Nobody is told."""
