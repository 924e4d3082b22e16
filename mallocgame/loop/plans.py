"""Proposes plans: each one searched with what the compiles so far have taught, from the best confirmed one."""

from __future__ import annotations

from mallocgame.compiler.capture import split_of
from mallocgame.errors import MallocgameError
from mallocgame.loop.base import Base
from mallocgame.loop.knowledge import Knowledge
from mallocgame.loop.programs import Candidate
from mallocgame.named_plan import name_plan
from mallocgame.plan import Plan
from mallocgame.solvers import solve
from mallocgame.validate import validate

WORTH = 0.0005
"""The share by which a plan has to be predicted better than the best confirmed one of its schedule."""

SOLVER = "local"


class Plans:
    """Searches on the most promising schedule that is not exhausted."""

    def __init__(self) -> None:
        self._seen: set[Plan] = set()

    def propose(self, known: Knowledge) -> Candidate | None:
        """A plan that is predicted to be better than those confirmed on its schedule."""
        while known.seconds_left > 0:
            base = _most_promising(known)
            if base is None:
                return None
            plan = search(known, base)
            predicted = base.predict(plan)
            if plan not in self._seen and known.relative(*predicted) < base.best * (1 - WORTH):
                self._seen.add(plan)
                return candidate(known, base, plan, predicted)
            base.exhausted = True
        return None


def search(known: Knowledge, base: Base) -> Plan:
    """The best plan that a slice of the search time finds on a schedule.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    problem = base.problem
    solution = solve(
        problem,
        SOLVER,
        known.slice(),
        known.seed + base.plans,
        base.final,
        progress=known.progress,
        objective=known.choice.objective,
        cycles=base.cycles,
        start=base.plan,
        default_seconds=(known.default.e_seconds / base.e_weight, known.default.m_seconds),
        barred=frozenset(base.barred),
    )
    known.seconds_left -= solution.seconds_spent
    if solution.status == "interrupted":
        raise KeyboardInterrupt
    violations = validate(problem, solution.plan)
    if violations:
        raise MallocgameError(f"solver {SOLVER} gave an invalid plan ({violations[0].message}); please report this")
    return solution.plan


def candidate(known: Knowledge, base: Base, plan: Plan, predicted: tuple[float, float]) -> Candidate:
    """A plan as a candidate."""
    capture = base.capture
    named = name_plan(
        base.problem,
        plan,
        solver="auto",
        seed=known.seed,
        options={"objective": known.choice.objective, "strict": known.choice.strict},
        versions=capture.versions,
        scoped_vmem_kib=split_of(capture.options),
    )
    where = "" if base is known.first else f" at {capture.scoped_vmem_kib} KiB"
    return Candidate("plans", "plan", f"plan {base.plans + 1}{where}", base, {}, named, predicted)


def _most_promising(known: Knowledge) -> Base | None:
    """Of the schedules that are not exhausted the one whose best program is the best."""
    open_ = [base for base in known.bases if not base.exhausted]
    return min(open_, key=lambda base: min(base.best, _own(known, base)), default=None)


def _own(known: Knowledge, base: Base) -> float:
    """Value of the schedule under XLA's own placement."""
    return known.relative(base.default.e_seconds, base.default.m_seconds)
