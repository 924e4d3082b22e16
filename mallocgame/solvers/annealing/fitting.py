"""Makes a valid plan of one that says what is to be in fast memory, and whose addresses are not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.solvers.annealing.plans import packed_plan
from mallocgame.solvers.annealing.search import Search

if TYPE_CHECKING:
    from mallocgame.models.cycles.table import CycleTable


def fitted(
    problem: Problem,
    plan: Plan,
    *,
    default_seconds: tuple[float, float],
    cycles: CycleTable | None = None,
    time_limit: float,
    seed: int,
) -> Plan:
    """What can be done of a plan, with addresses; what there is no room for and loses least is left in HBM.

    Args:
        problem: that the plan is for.
        plan: its definitions, uses and copies count, and which stays there are; not their addresses.
        default_seconds: (E, M) of XLA's default, the units in which losses are weighed.
        cycles: what E is predicted from; None for the cycles of XLA's default, whatever the placement.
        time_limit: seconds for the packer, and again for the choice of what fits.
        seed: of the packer.
    """
    e, m = default_seconds
    search = Search(problem, weights=(1 / m, 1 / e), cycles=cycles, evict_products=True, reach=plan.reach)
    search.shrink(search.capacity, search.decisions_of(plan))
    packed = packed_plan(
        search.program,
        search.world,
        search.best,
        search.losses,
        time_limit=time_limit,
        seed=seed,
        reach=plan.reach,
    )
    return packed.plan
