"""Proposes plans: each one searched with what the compiles so far have taught, from the best confirmed one."""

from __future__ import annotations

from dataclasses import replace

from mallocgame.compiler.export.options import allocation_of
from mallocgame.compiler.relax import Relaxation
from mallocgame.models.replay import uncounted_of_plan
from mallocgame.optimizer.knowledge.base import Base, Outlook
from mallocgame.optimizer.knowledge.candidates import Candidate
from mallocgame.optimizer.knowledge.knowledge import Knowledge
from mallocgame.plan.named_plan import NamedPlan, in_hbm, name_plan
from mallocgame.plan.objective import Objective
from mallocgame.plan.plan import Plan
from mallocgame.plan.validate import validate
from mallocgame.plan.verdict import SPLIT_TOLERANCE
from mallocgame.solvers import solve
from mallocgame.system.errors import MallocgameError

WORTH = 0.0005
"""The share by which a plan has to be predicted better than the answer so far, once its schedule has a plan."""

DOUBT = 0.1
"""The share by which the first plan of a schedule may be predicted worse than the answer so far: predictions that
rest on XLA's default alone are up to that far off (benchmarks/RESULTS.md)."""

HOPELESS = 0.25
"""The share by which XLA's own placement at another split may be worse than at the best one for a search to be made."""

FEW = 0.06
"""A plan of XLA's own schedule that is predicted to gain less than this share leaves the first compile to a split,
where the target has any. With that the first compiles on v5p (benchmarks/results/auto) would have gained most; with
shares from 3 to 8 % they gain up to 3 % less (`benchmarks.compiler.gain_by_compiles`)."""

SOLVER = "local"


class Plans:
    """Searches on the most promising schedule that is not exhausted; before its first plan is compiled, on each."""

    def __init__(self) -> None:
        self._seen: set[tuple[int | None, Plan]] = set()

    def propose(self, known: Knowledge) -> Candidate | None:
        """The first plan of a schedule that is not hopeless, or one that is predicted to beat the answer so far."""
        while known.seconds_left > 0:
            for other in known.bases:
                if other.outlook is None and other.plans == 0 and _is_hopeful(known, other):
                    other.outlook = look(known, other)
            base = known.most_promising()
            if base is None:
                return None
            outlook = base.outlook if base.outlook is not None and base.plans == 0 else look(known, base)
            if known.opens_with_splits and _gains_little(known, outlook):
                known.progress(f"a plan is predicted to gain less than {FEW:.0%}: a split comes first")
                return None
            program = base.capture.scoped_vmem_kib, outlook.plan.plan
            if program not in self._seen and _is_worth(known, base, outlook):
                self._seen.add(program)
                return candidate("plans", f"plan {base.plans + 1}{known.where(base)}", base, outlook)
            base.exhausted = True
        return None


def look(known: Knowledge, base: Base, objective: Objective = "both") -> Outlook:
    """The best plan that a slice of the search time finds on a schedule, and what is predicted for it.

    What the compiler cannot be told is left out: it would be in HBM, whatever is predicted for it.
    """
    named = name_plan(
        base.problem,
        _search(known, base, objective),
        solver="auto",
        seed=known.seed,
        options={"objective": known.choice.objective, "strict": known.choice.strict},
        versions=base.capture.versions,
        scoped_vmem_kib=base.capture.scoped_vmem_kib,
    )
    named, inexpressible = tellable(named)
    base.barred |= inexpressible
    uncounted = uncounted_of_plan(base.capture.problem(), named.plan)
    return Outlook(named, *base.predict(named.plan), uncounted=uncounted)


def tellable(named: NamedPlan) -> tuple[NamedPlan, set[int]]:
    """What of a plan the compiler can be told and is foreseen to do, and the groups that no override can express.

    Without the groups that the compiler's allocator is foreseen to find no room for: each costs a compile. It records
    the order in which the others are, so that export need not seek one again, and perhaps find none.
    """
    order = allocation_of(named)
    missed = {block.group for block in order.missed}
    relaxation = Relaxation(replace(in_hbm(named, missed), order=order.fitting))
    relaxation.options()
    return relaxation.named, {entry.group for entry in relaxation.relaxed}


def candidate(proposer: str, about: str, base: Base, outlook: Outlook) -> Candidate:
    """To compile what was found."""
    return Candidate(proposer, "plan", about, base, {}, outlook.plan, (outlook.e_seconds, outlook.m_seconds))


def _search(known: Knowledge, base: Base, objective: Objective) -> Plan:
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


def _is_hopeful(known: Knowledge, base: Base) -> bool:
    """Whether XLA's own placement is not so slow there that a plan need not be thought of."""
    least = min(known.choice.value(other.default) for other in known.bases)
    return known.choice.value(base.default) < least * (1 + HOPELESS)


def _gains_little(known: Knowledge, outlook: Outlook) -> bool:
    """Whether a plan of XLA's own schedule is not predicted to gain more than a split may, which opens others."""
    worse, value = known.choice.rank(outlook, known.default, False)
    return worse or value > known.choice.value(known.default) * (1 - FEW)


def _is_worth(known: Knowledge, base: Base, outlook: Outlook) -> bool:
    """Whether a plan is worth a compile; the first one of a schedule often is, for what it teaches."""
    best = known.choice.value(known.incumbent.row or known.default)
    worse, value = known.choice.rank(outlook, known.default, base is not known.first)
    if base.plans == 0:
        return value < best * (1 + DOUBT)
    return not worse and value < best * (1 - WORTH)
