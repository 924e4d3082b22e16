"""Local search: simulated annealing over valid plans, from the greedy one, in cycles of growing length.

Every cycle starts at the best plan so far; its temperature falls from the mean worsening of a move seen so far, or a
part of that (``HEATS`` in turn), to a thousandth. The search can be stopped at any time and then gives the best plan so
far. Bounded by steps it is deterministic from the seed.
"""

from __future__ import annotations

import random
from itertools import cycle
from math import exp

from mallocgame.solvers import priority
from mallocgame.solvers.base import Answer, Task, register
from mallocgame.solvers.builder import Builder
from mallocgame.solvers.greedy import place
from mallocgame.solvers.moves import Moves

FIRST_CYCLE = 10
LAST_CYCLE = 100
"""Moves a group of the first cycle and of the longest; in between, each cycle has twice as many as the one before."""

LEAST_CYCLE = 200
FUTILE_CYCLES = 6
"""Cycles of full length without a better plan after which the search has converged."""

HEATS = (0.1, 1.0, 0.02)
"""First temperatures of the cycles, in turn, as shares of the mean worsening."""

COOLING = 1e-3
"""Last temperature of a cycle, as a share of its first."""

CLOCK_EVERY = 16
"""Moves between two looks at the clock."""


@register("local")
def solve(task: Task) -> Answer:
    """Greedy, then annealing until the task says stop or nothing improves any more."""
    search = _Search(task)
    try:
        status = search.run()
    except KeyboardInterrupt:
        status = "interrupted"
    return search.answer(status)


class _Search:
    def __init__(self, task: Task) -> None:
        self.task = task
        self.builder = Builder(task.problem)
        self.rng = random.Random(task.seed)
        self.steps = 0
        self.best = self.builder.total
        self.best_decisions = list(self.builder.decisions)
        self._worsenings = (0.0, 0)

    def run(self) -> str:
        """Search; returns the status."""
        for group in priority.order(self.builder.program):
            place(self.builder, group)
            reason = self._stop()
            if reason is not None:
                self._keep_best(self.builder.total)
                return reason
        self._keep_best(self.builder.total)
        moves = Moves(self.builder, self.rng)
        if not moves.groups:
            return "converged"
        length, longest = (max(LEAST_CYCLE, share * len(moves.groups)) for share in (FIRST_CYCLE, LAST_CYCLE))
        futile = 0
        for heat in cycle(HEATS):
            before = self.best
            reason = self._cycle(moves, length, heat)
            if reason is not None:
                return reason
            futile = futile + 1 if length == longest and self.best == before else 0
            if futile == FUTILE_CYCLES:
                break
            length = min(2 * length, longest)
        return "converged"

    def answer(self, status: str) -> Answer:
        """The best plan, built afresh."""
        builder = Builder(self.task.problem)
        builder.restore(self.best_decisions)
        return Answer(builder.plan(), builder.board.timeline.exact_total(), status, self.steps)

    def _stop(self) -> str | None:
        self.steps += 1
        if self.steps % CLOCK_EVERY and self.steps != self.task.max_steps:
            return None
        return self.task.stop_reason(self.steps)

    def _cycle(self, moves: Moves, length: int, heat: float) -> str | None:
        """One annealing cycle from the best plan; returns why to stop, or None."""
        builder = self.builder
        builder.restore(self.best_decisions)
        now = builder.total
        for step in range(length):
            reason = self._stop()
            if reason is not None:
                return reason
            moves.change()
            total = builder.total
            if total <= now or self._accepts(total - now, heat * COOLING ** (step / length)):
                builder.commit()
                now = total
                if now < self.best * (1 - 1e-12):
                    self._keep_best(now)
            else:
                builder.rollback()
        return None

    def _accepts(self, worsening: float, heat: float) -> bool:
        total, count = self._worsenings
        self._worsenings = total + worsening, count + 1
        temperature = heat * (total + worsening) / (count + 1)
        return self.rng.random() < exp(-worsening / temperature)

    def _keep_best(self, total: float) -> None:
        self.best = total
        self.best_decisions = list(self.builder.decisions)
        self.task.improved(total, self.steps)
