"""Local search: simulated annealing over plans, in cycles of growing length.

It begins with the best of the greedy plan, what the game can do of XLA's own placement, and a plan that it is given.

The moves (`mallocgame.solvers.annealing`) look at how many bytes are free at each time, not at which; after a cycle
that has found a better plan the packer gives it addresses. If it cannot, the plan is kept without the groups that lose
least and leave room for the others, and the search goes on with a little less fast memory.

Every cycle starts at the best plan so far; its temperature falls from the mean worsening of a move seen so far, or a
part of that (``HEATS`` in turn), to a thousandth. The search can be stopped at any time and then gives the best plan so
far. Bounded by steps it is deterministic from the seed.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from math import inf
from time import monotonic

from mallocgame.plan.plan import Plan
from mallocgame.plan.reach import fitting_reach
from mallocgame.problem import priority
from mallocgame.solvers.annealing.plans import PackedPlan, packed_plan
from mallocgame.solvers.annealing.search import Decisions, Search
from mallocgame.solvers.annealing.sharing import share_starts
from mallocgame.solvers.annealing.warm_up import compile_native
from mallocgame.solvers.base import Answer, Task, register
from mallocgame.solvers.xla import own_placement

FIRST_CYCLE = 20
LAST_CYCLE = 2000
"""Moves a group of the first cycle and of the longest; in between, each cycle has twice as many as the one before."""

LEAST_CYCLE = 500
FUTILE_CYCLES = 6
"""Cycles of full length without a better plan after which the search has converged."""

HEATS = (0.1, 1.0, 0.02)
"""First temperatures of the cycles, in turn, as shares of the mean worsening."""

COOLING = 1e-3
"""Last temperature of a cycle, as a share of its first."""

PATIENCE = 0.05
"""Seconds of native moves between two looks at the clock."""

PACKING_SECONDS = 1.0
"""For one try to find addresses, and for the choice of what has some if it fails."""

LIMIT = 1.0005
"""What each model may take of its ``default_seconds``; game.md calls up to 1.001 equal, and E is predicted."""

KERNEL = 1e-4
"""What each different kernel more than XLA's own placement has counts for, as a share of the time with everything in
HBM: the compiler generates code for each, which is most of its time. Plans have hardly any more then, and lose
hardly anything (docs/expressibility.md)."""

SHRINK = 0.99
"""Share of the fast memory to go on with where the packer finds no addresses."""


@register("local")
def solve(task: Task) -> Answer:
    """The best of what it begins with, then annealing until the task says stop or nothing improves any more.

    The first call after an installation compiles native code, a minute or more beyond the time limit.
    """
    search = _LocalSearch(replace(task, started=task.started + compile_native()))
    try:
        status = search.run()
    except KeyboardInterrupt:
        status = "interrupted"
    return search.answer(status)


class _LocalSearch:
    def __init__(self, task: Task) -> None:
        self.task = task
        weights, limits = _goal(task)
        self.own = own_placement(task)
        self.search = Search(
            task.problem,
            weights=weights,
            limits=limits,
            cycles=task.cycles,
            barred=task.barred,
            seed=task.seed,
            evict_products=task.evict_products,
            reach=fitting_reach(task.problem, self.own) if task.evict_products and self.own is not None else None,
        )
        self._charge_kernels()
        self.steps = 0
        self.chunk = 500
        self.packed: tuple[float, Decisions, Plan] = (
            self.search.value,
            self.search.best,
            Plan(task.problem.fingerprint, reach=self.search.reach),
        )

    def _charge_kernels(self) -> None:
        """Have more kernels than XLA's own placement or HBM has cost something; everything is in HBM after this."""
        search, in_hbm = self.search, self.search.decisions()
        price, kernels = KERNEL * search.value, search.kernels
        if self.own is not None:
            search.set(search.decisions_of(self.own))
            kernels = max(kernels, search.kernels)
            search.set(in_hbm)
        search.charge_kernels(price, kernels)

    def run(self) -> str:
        """Search; returns the status."""
        search, movable = self.search, set(self.search.groups.tolist())
        groups = len(movable)
        search.greedy([group for group in priority.order(self.task.problem) if group in movable])
        for plan in (self.own, self.task.start):
            if plan is not None:
                search.offer(search.decisions_of(plan))
        self.task.improved(search.best_value, self.steps)
        self._pack()
        if not groups:
            return "converged"
        length, longest = (max(LEAST_CYCLE, share * groups) for share in (FIRST_CYCLE, LAST_CYCLE))
        futile = 0
        for heat in cycle(HEATS):
            before = search.best_value
            reason = self._cycle(length, heat)
            self._pack()
            if reason is not None:
                return reason
            futile = futile + 1 if length == longest and search.best_value == before else 0
            if futile == FUTILE_CYCLES:
                break
            length = min(2 * length, longest)
        return "converged"

    def answer(self, status: str) -> Answer:
        """The best plan that has addresses, with its seconds under M."""
        self._share()
        _, decisions, plan = self.packed
        search = Search(self.task.problem) if self.task.objective == "E" else self.search
        search.set(decisions)
        return Answer(plan, search.seconds(0), status, self.steps)

    def _share(self) -> None:
        """Have fewer times at which prefetches start."""
        value, decisions, plan = self.packed
        self.packed = value, *share_starts(self.search, decisions, plan)

    def _cycle(self, length: int, heat: float) -> str | None:
        """One cooling from the best plan; returns why to stop, or None."""
        search = self.search
        search.set(search.best)
        search.start_cycle(heat, COOLING ** (1 / length))
        left = length
        while left > 0:
            moves = min(left, self.chunk)
            if self.task.max_steps is not None:
                moves = min(moves, self.task.max_steps - self.steps)
            started, before = monotonic(), search.best_value
            search.anneal(moves)
            left -= moves
            self.steps += moves
            seconds = monotonic() - started
            self.chunk = max(100, int(self.chunk * min(2.0, PATIENCE / max(seconds, 1e-6))))
            if search.best_value < before:
                self.task.improved(search.best_value, self.steps)
            reason = self.task.stop_reason(self.steps)
            if reason is not None:
                return reason
        return None

    def _pack(self) -> None:
        """Give the best plan addresses if it is better than the one that has some; else have less memory."""
        search = self.search
        if search.best_value >= self.packed[0]:
            return
        packed = self._addresses(search.best)
        if packed.status == "feasible":
            self.packed = search.best_value, search.best.copy(), packed.plan
            return
        search.set(packed.decisions)
        if search.value < self.packed[0]:
            self.packed = search.value, packed.decisions, packed.plan
        target = self.task.problem.target
        capacity = int(search.capacity * SHRINK) // target.alignment * target.alignment
        search.shrink(capacity, search.best.copy())
        if search.best_value > self.packed[0]:
            search.offer(self.packed[1])

    def _addresses(self, decisions: Decisions) -> PackedPlan:
        search, seed = self.search, self.task.seed
        return packed_plan(
            search.program,
            search.world,
            decisions,
            search.losses,
            time_limit=PACKING_SECONDS,
            seed=seed,
            reach=search.reach,
        )


def _goal(task: Task) -> tuple[tuple[float, float], tuple[float, float]]:
    """Weights and limits of M and E."""
    if task.objective == "M":
        return (1.0, 0.0), (inf, inf)
    if task.objective == "E":
        return (0.0, 1.0), (inf, inf)
    if task.default_seconds is None:
        all_hbm = Search(task.problem, weights=(1.0, 1.0), cycles=task.cycles)
        return (1 / all_hbm.seconds(0), 1 / all_hbm.seconds(1)), (inf, inf)
    e, m = task.default_seconds
    return (1 / m, 1 / e), (m * LIMIT, e * LIMIT)
