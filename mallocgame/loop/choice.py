"""Which of the confirmed programs is the answer, and which are not beaten under both models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mallocgame.compiler.verification import Row
from mallocgame.loop.programs import Tried
from mallocgame.objective import Objective


@dataclass(frozen=True, slots=True)
class Choice:
    """How a user chooses.

    Attributes:
        objective: what the answer has to be best under: E, M, or their product.
        strict: whether another memory split may not lose under M.
    """

    objective: Objective = "both"
    strict: bool = False

    def value(self, row: Row) -> float:
        """What is to be least: seconds, or squared seconds for the product."""
        return {"E": row.e_seconds, "M": row.m_seconds, "both": row.e_seconds * row.m_seconds}[self.objective]

    def is_better(self, tried: Tried) -> bool:
        """Whether a program beats XLA's default by game.md's rule."""
        return (tried.strict_verdict if self.strict else tried.verdict) == "better"

    def best(self, default: Tried, tried: Sequence[Tried]) -> Tried:
        """The answer: of those that beat XLA's default the best one, else XLA's default."""
        better = [entry for entry in tried if self.is_better(entry)]
        return min(better, key=self._value_of, default=default)

    def _value_of(self, tried: Tried) -> float:
        return self.value(tried.row) if tried.row is not None else float("inf")


def pareto(tried: Sequence[Tried]) -> tuple[Tried, ...]:
    """Of the programs that fit, those that no other equals or beats under E and M; the first of equals, by rising E."""
    fitting = [(entry.row.e_seconds, entry.row.m_seconds, n) for n, entry in enumerate(tried) if _fits(entry.row)]
    found, least = [], float("inf")
    for _, m_seconds, number in sorted(fitting):
        if m_seconds < least:
            least = m_seconds
            found.append(tried[number])
    return tuple(found)


def _fits(row: Row | None) -> bool:
    return row is not None and row.fits
