"""Which of the confirmed programs is the answer, and which are not beaten under both models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mallocgame.compiler.verification import Row
from mallocgame.optimizer.knowledge.candidates import Tried
from mallocgame.plan.objective import Objective
from mallocgame.plan.verdict import WINS, Figures, Verdict, strictly, verdict


@dataclass(frozen=True, slots=True)
class Choice:
    """How a user chooses.

    Attributes:
        objective: what the answer has to be best under: E, M, or their product.
        strict: whether another memory split may not lose under M.
    """

    objective: Objective = "both"
    strict: bool = False

    def value(self, figures: Figures) -> float:
        """What is to be least: seconds, or squared seconds for the product."""
        e, m = figures.e_seconds, figures.m_seconds
        return {"E": e, "M": m, "both": e * m}[self.objective]

    def rank(self, figures: Figures, default: Row, split_changed: bool) -> tuple[bool, float]:
        """Orders programs: what loses to XLA's default by game.md's rule, or may, is last, then by ``value``."""
        judged = self._said(verdict(figures, default, split_changed))
        return judged in ("worse", "cannot tell"), self.value(figures)

    def verdict(self, tried: Tried) -> Verdict | None:
        """Of a program, by the rule that is asked for."""
        return self._said(tried.verdict)

    def best(self, tried: Sequence[Tried]) -> Tried:
        """The answer: of the programs that beat the first one, XLA's default, the best; else the first one."""
        better = [(self.value(entry.row), n) for n, entry in enumerate(tried) if entry.row and self._beats(entry)]
        return tried[min(better)[1]] if better else tried[0]

    def _beats(self, tried: Tried) -> bool:
        return self.verdict(tried) in WINS

    def _said(self, judged: Verdict | None) -> Verdict | None:
        return strictly(judged) if self.strict else judged


def pareto(tried: Sequence[Tried]) -> tuple[Tried, ...]:
    """Of the programs that fit, those that no other equals or beats under E and M; the first of equals, by rising E."""
    fitting = [
        (entry.row.e_seconds, entry.row.m_seconds, n) for n, entry in enumerate(tried) if entry.row and entry.row.fits
    ]
    found, least = [], float("inf")
    for _, m_seconds, number in sorted(fitting):
        if m_seconds < least:
            least = m_seconds
            found.append(tried[number])
    return tuple(found)
