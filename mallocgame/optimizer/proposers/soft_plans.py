"""Proposes soft plans: the compiler decides itself, but allocates what a plan wants in fast memory first."""

from __future__ import annotations

from mallocgame.compiler.export.options import SORT_ORDER, allocation_of, sort_order
from mallocgame.optimizer.knowledge.candidates import Candidate
from mallocgame.optimizer.knowledge.knowledge import Knowledge
from mallocgame.plan.named_plan import name_plan
from mallocgame.plan.plan import Plan


class SoftPlans:
    """The order of the best plan of each schedule, when the search has nothing more to offer."""

    def __init__(self) -> None:
        self._seen: set[Plan] = set()

    def propose(self, known: Knowledge) -> Candidate | None:
        """Memory space assignment as XLA has it, with the sort order of the best plan."""
        if known.plans_are_open():
            return None
        for base in known.bases:
            if base.plan is None or base.plan in self._seen:
                continue
            self._seen.add(base.plan)
            named = name_plan(
                base.problem, base.plan, solver="auto", seed=known.seed, scoped_vmem_kib=base.capture.scoped_vmem_kib
            )
            order = allocation_of(named)
            told = sort_order(named, [*order.told, *order.rest])
            if told:
                about = f"order of the plan{known.where(base)}"
                return Candidate("soft plans", "soft plan", about, base, {SORT_ORDER: told})
        return None
