"""Tables before they are Markdown or HTML: grids of cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mallocgame.bench.statistics import geometric_mean


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        text: what it says; never empty.
        order: what a reader sorts the column by; None for the text.
        tone: ``"better"``, ``"equal"``, ``"worse"``, ``"missing"`` or nothing.
    """

    text: str
    order: float | None = None
    tone: str = ""


@dataclass(frozen=True)
class Grid:
    """A table with a title, and notes below it."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Sheet:
    """A document: title, facts one a line, grids."""

    title: str
    facts: Sequence[str]
    grids: Sequence[Grid]


def mean(values: Sequence[float]) -> Cell:
    """A geometric mean with its interval, as a cell."""
    if not values:
        return Cell("no figures", tone="missing")
    if len(values) == 1:
        return Cell(f"{values[0]:.4f}, one program", values[0])
    found = geometric_mean(values)
    return Cell(f"{found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]", found.mean)
