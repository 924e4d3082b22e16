"""What a plan that nothing will compile is compared with: XLA's own placement, known or foreseen, under E and M.

Where the file has XLA's own placement, its figures are taken. Of a schedule alone there is neither that nor a cycle:
XLA's placement is then foreseen (``mallocgame.solvers.foreseen``), E estimated (``mallocgame.models.cycles.estimate``),
and the M to be beaten is the lesser of that placement's and of the greedy order's, for the compiler repairs what the
reimplementation leaves as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mallocgame.models.cycles.estimate import estimated_table
from mallocgame.models.cycles.sites import plan_masks
from mallocgame.models.cycles.table import CycleTable
from mallocgame.models.replay import replay_plan, uncounted_of_final, uncounted_of_plan
from mallocgame.plan.plan import Plan
from mallocgame.plan.verdict import Verdict, verdict
from mallocgame.solvers import solve
from mallocgame.solvers.foreseen import foresee

if TYPE_CHECKING:
    from mallocgame.problem.schema import Problem
    from mallocgame.programs.loaded import Loaded

SECONDS = 10.0
"""For the greedy order."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a program takes, in seconds; that it fits is not known before it is compiled."""

    e_seconds: float
    m_seconds: float
    fits: bool = True
    uncounted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Foresight:
    """What plans of a problem are compared with.

    Attributes:
        problem: that the plans are of.
        default: XLA's own placement.
        cycles: what E is predicted from.
        known: the share of E of XLA's own placement that compiles have shown; the rest is estimated, or M's time.
        foreseen: whether XLA's own placement is foreseen rather than known.
    """

    problem: Problem
    default: Figures
    cycles: CycleTable
    known: float
    foreseen: bool

    def figures(self, plan: Plan) -> Figures:
        """A valid plan under E, as far as it can be predicted, and under M."""
        return _replayed(self.problem, plan, self.cycles)

    def verdict(self, plan: Plan) -> Verdict:
        """A valid plan against XLA's own placement."""
        return verdict(self.figures(plan), self.default)


def foresight_of(loaded: Loaded, seed: int = 0) -> Foresight:
    """What plans for a loaded file are compared with.

    Args:
        loaded: that may have a final text, or XLA's own placement as a problem file has it.
        seed: of random choices.
    """
    problem = loaded.problem
    table, seconds = loaded.model_e()
    if table is not None and seconds is not None:
        placed = () if loaded.final is None else uncounted_of_final(problem, loaded.final)
        default = Figures(*seconds, uncounted=placed)
        return Foresight(problem, default, table, _known(problem, table), foreseen=False)
    if loaded.default is not None and loaded.default.plan is not None:
        table = CycleTable(problem)
        table.observe(plan_masks(problem, loaded.default.plan), [step.cycles for step in problem.instructions])
        placed = uncounted_of_plan(problem, loaded.default.plan)
        default = Figures(loaded.default.e_seconds, loaded.default.m_seconds, uncounted=placed)
        return Foresight(problem, default, table, _known(problem, table), foreseen=False)
    table = estimated_table(problem, loaded.products())
    expected = _replayed(problem, foresee(problem), table)
    greedy = solve(problem, "greedy", SECONDS, seed).seconds_under_m
    known = None if loaded.default is None else loaded.default.m_seconds
    least = min(expected.m_seconds, greedy) if known is None else known
    return Foresight(problem, replace(expected, m_seconds=least), table, 0.0, foreseen=True)


def _replayed(problem: Problem, plan: Plan, table: CycleTable) -> Figures:
    e, m = replay_plan(problem, plan, "E", table).total, replay_plan(problem, plan, "M").total
    return Figures(e, m, uncounted=uncounted_of_plan(problem, plan))


def _known(problem: Problem, table: CycleTable) -> float:
    """The share of M, with everything in HBM, of the instructions that a table knows."""
    rows = replay_plan(problem, Plan(problem.fingerprint), "M").rows
    seconds = [(row.seconds * row.runs, row.time) for row in rows if row.time is not None]
    whole = sum(each for each, _ in seconds)
    return sum(each for each, time in seconds if table.cycles(time, 0) is not None) / whole if whole else 1.0
