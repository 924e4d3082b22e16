"""Proposes plans: each one searched with what the compiles so far have taught, from the best confirmed one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mallocgame.compiler.relax import leave_in_hbm
from mallocgame.compiler.verification import SPLIT_TOLERANCE
from mallocgame.errors import MallocgameError
from mallocgame.export.options import allocation_of
from mallocgame.loop.base import Base
from mallocgame.loop.knowledge import Knowledge
from mallocgame.loop.programs import Candidate
from mallocgame.named_plan import NamedPlan, name_plan
from mallocgame.objective import Objective
from mallocgame.plan import Plan
from mallocgame.solvers import solve
from mallocgame.validate import validate

WORTH = 0.0005
"""The share by which a plan has to be predicted better than the answer so far, once its schedule has a plan."""

DOUBT = 0.1
"""The share by which the first plan of another split may be predicted worse than the answer so far: predictions that
rest on XLA's default and MSA off alone are up to that far off (benchmarks/RESULTS.md)."""

SOLVER = "local"


@dataclass(frozen=True, slots=True)
class _Predicted:
    """Figures of a plan that is not compiled."""

    e_seconds: float
    m_seconds: float
    fits: bool = True


class Plans:
    """Searches on the most promising schedule that is not exhausted."""

    def __init__(self) -> None:
        self._seen: set[tuple[int | None, Plan]] = set()

    def propose(self, known: Knowledge) -> Candidate | None:
        """The first plan of a schedule that is not hopeless, or one that is predicted to beat the answer so far."""
        while known.seconds_left > 0:
            base = known.most_promising()
            if base is None:
                return None
            named = with_room(named_plan(known, base, search(known, base)))
            predicted = base.predict(named.plan)
            program = base.capture.scoped_vmem_kib, named.plan
            if program not in self._seen and _is_worth(known, base, predicted):
                self._seen.add(program)
                return _candidate(known, base, named, predicted)
            base.exhausted = True
        return None


def search(known: Knowledge, base: Base, objective: Objective = "both") -> Plan:
    """The best plan that a slice of the search time finds on a schedule.

    Under both models XLA's figures are limits of both, whatever the user's objective. Under M a plan of another split
    may lose what game.md's rule allows.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    default = known.default
    allowed = 0.0 if base is known.first or known.choice.strict else SPLIT_TOLERANCE
    solution = solve(
        base.roomy_problem,
        SOLVER,
        known.slice(),
        known.seed + base.plans,
        base.final,
        progress=known.progress,
        objective=objective,
        cycles=base.cycles,
        start=base.start(),
        default_seconds=(default.e_seconds, default.m_seconds * (1 + allowed)),
        barred=frozenset(base.barred),
        evict_products=True,
    )
    known.seconds_left -= solution.seconds_spent
    if solution.status == "interrupted":
        raise KeyboardInterrupt
    plan = base.whole(solution.plan)
    violations = validate(base.problem, plan)
    if violations:
        raise MallocgameError(f"solver {SOLVER} gave an invalid plan ({violations[0].message}); please report this")
    return plan


def with_room(named: NamedPlan) -> NamedPlan:
    """A plan without the groups that the compiler's allocator is foreseen to find no room for: each costs a compile.

    It records the order in which the others are, so that export need not seek one again, and perhaps find none.
    """
    order, missed = allocation_of(named)
    for group in missed:
        named = leave_in_hbm(named, group)
    return replace(named, order=tuple(group for group in order if group not in missed))


def named_plan(known: Knowledge, base: Base, plan: Plan) -> NamedPlan:
    """With the names of a schedule, and what the loop was told."""
    return name_plan(
        base.problem,
        plan,
        solver="auto",
        seed=known.seed,
        options={"objective": known.choice.objective, "strict": known.choice.strict},
        versions=base.capture.versions,
        scoped_vmem_kib=base.capture.scoped_vmem_kib,
    )


def _candidate(known: Knowledge, base: Base, named: NamedPlan, predicted: tuple[float, float]) -> Candidate:
    about = f"plan {base.plans + 1}{known.where(base)}"
    return Candidate("plans", "plan", about, base, {}, named, predicted)


def _is_worth(known: Knowledge, base: Base, predicted: tuple[float, float]) -> bool:
    """Whether a plan is worth a compile; the first one of XLA's own schedule always is, for what it teaches."""
    best = known.choice.value(known.incumbent.row or known.default)
    figures = _Predicted(predicted[0], predicted[1])
    worse, value = known.choice.rank(figures, known.default, base is not known.first)
    if base.plans == 0:
        return base is known.first or value < best * (1 + DOUBT)
    return not worse and value < best * (1 - WORTH)
