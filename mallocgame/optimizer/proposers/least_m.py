"""Proposes the plan that is quickest under M alone: the end of the Pareto set, and what of M's headroom can be had."""

from __future__ import annotations

from mallocgame.optimizer.knowledge.candidates import Candidate
from mallocgame.optimizer.knowledge.knowledge import Knowledge
from mallocgame.optimizer.proposers.plans import WORTH, candidate, look


class LeastM:
    """One plan of each schedule that the answer so far is of, E left out of account.

    By game.md's rule it is seldom the answer, where the two models contradict each other. It is confirmed because it
    tells what E costs under M, and because the proven bound, which knows of M alone, can be compared with nothing else.
    """

    def __init__(self) -> None:
        self._done: set[int | None] = set()

    def propose(self, known: Knowledge) -> Candidate | None:
        """The plan of least M of the answer's schedule, once that has a plan, if it beats all that is confirmed."""
        base = known.base_of(known.incumbent) or known.first
        split = base.capture.scoped_vmem_kib
        if known.choice.objective == "E" or split in self._done or not base.plans or known.seconds_left <= 0:
            return None
        self._done.add(split)
        outlook = look(known, base, "M")
        least = min(row.m_seconds for row in known.rows_of(base))
        known_plans = [tried.plan.plan for tried in known.tried if tried.plan is not None]
        if outlook.plan.plan in known_plans or outlook.m_seconds >= least * (1 - WORTH):
            return None
        return candidate("least m", f"plan for M alone{known.where(base)}", base, outlook)
