"""A plan under change: a Python handle on the native state."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mallocgame.game.program import Program
from mallocgame.plan.plan import Copy, Plan
from mallocgame.problem.evictions import Eviction, product_eviction
from mallocgame.problem.placement import is_directly_after
from mallocgame.problem.schema import Problem
from mallocgame.solvers.annealing.build import make_world
from mallocgame.solvers.annealing.decide import clear, commit, fetch, objective, pin, rollback
from mallocgame.solvers.annealing.moves import anneal, greedy, make_room
from mallocgame.solvers.annealing.replay import replay_whole
from mallocgame.solvers.annealing.world import (
    FETCHED,
    IN_HBM,
    MADE,
    PINNED,
    STAYS,
    TOTAL,
    UNSERVED,
    Floats,
    Ints,
    World,
)

if TYPE_CHECKING:
    from mallocgame.models.cycles.table import CycleTable


class Decisions(NamedTuple):
    """What a plan does, without addresses.

    Attributes:
        kind: ``[G]`` IN_HBM, PINNED or FETCHED, by group.
        plan: ``[V]`` slot after which a serving's copy starts, MADE, STAYS, or UNSERVED.
    """

    kind: Ints
    plan: Ints

    def copy(self) -> Decisions:
        """An independent copy."""
        return Decisions(self.kind.copy(), self.plan.copy())


def made_eviction(program: Program, world: World, id: int, last: int) -> Eviction:
    """The eviction of a product that is made in fast memory, after the last of the servings that stay with it."""
    tensor = program.problem.tensors[id]
    wait = int(world.slots["time"][world.groups["wait"][tensor.group]])
    return product_eviction(tensor, program.servings[id][last].last, wait)


class Search:
    """The present plan, and moves from it.

    Attributes:
        program: what the game derives from the problem.
        reach: of the plans.
        world: the same, and the present plan, as arrays.
        groups: ``[n]`` groups that can be in fast memory.
        best: the best decisions seen, of the value ``best_value``.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        weights: tuple[float, float] = (1.0, 0.0),
        limits: tuple[float, float] = (inf, inf),
        cycles: CycleTable | None = None,
        barred: Collection[int] = (),
        seed: int = 0,
        evict_products: bool = False,
        reach: float | None = None,
    ) -> None:
        """Everything in HBM.

        Args:
            problem: to be solved.
            weights: of a second under M and E; a model of weight 0 is not simulated.
            limits: seconds under M and E above which each second counts for more.
            cycles: what E is predicted from.
            barred: groups that stay in HBM.
            seed: of all random moves.
            evict_products: whether what is made in fast memory may be evicted after its first uses. No move of the game
                does that.
            reach: of the plans.
        """
        self.program, self.reach = Program(problem), reach
        self.world = make_world(
            self.program,
            models=(weights[0] > 0, weights[1] > 0),
            seed=seed,
            cycles=cycles,
            barred=barred,
            evict_products=evict_products,
            reach=reach,
        )
        replay_whole(self.world)
        commit(self.world)
        groups = self.world.groups
        self.groups: Ints = np.nonzero(groups["pinnable"] | (groups["fetched"] >= 0))[0]
        self._cumulated = np.cumsum(groups["saving"][self.groups] + 1e-30)
        self._goal = np.array([(*weights, 0.0), (*limits, inf)], np.float64)
        self._heat = np.zeros(5, np.float64)
        self._heat[4] = self.value
        self.best = self.decisions()

    @property
    def value(self) -> float:
        """Of the present plan; see `decide.objective`."""
        return float(objective(self.world, self._goal))

    @property
    def best_value(self) -> float:
        """Of ``best``."""
        return float(self._heat[4])

    @property
    def capacity(self) -> int:
        """Bytes of fast memory that the search may use at any time."""
        return int(self.world.scalars["capacity"][0])

    @property
    def kernels(self) -> int:
        """How many different kernels the present plan has: alike, with the same operands and results in fast memory."""
        return int(self.world.scalars["kernels"][0])

    def charge_kernels(self, price: float, free: int) -> None:
        """From now on each kernel beyond so many ``free`` ones makes the value larger by ``price``."""
        self._goal[:, 2] = price, free
        self._heat[4] = self.value

    def decisions(self) -> Decisions:
        """Those of the present plan."""
        return Decisions(self.world.groups["kind"].copy(), self.world.servings["plan"].copy())

    def seconds(self, model: int) -> float:
        """Of the present plan under M (0) or E (1), if that is simulated."""
        return float(self.world.sums[model, TOTAL, -1])

    def greedy(self, order: Sequence[int]) -> None:
        """Bring in each group of the order that fits and makes the value no larger."""
        self._note_best(float(greedy(self.world, np.array(order, np.int64), self._goal)))

    def _note_best(self, value: float) -> None:
        if value < self.best_value:
            self._heat[4] = value
            self.best = self.decisions()

    def set(self, decisions: Decisions) -> None:
        """Make other decisions the present ones."""
        world = self.world
        for group in np.nonzero(world.groups["kind"])[0].tolist():
            clear(world, group)
        for group in np.nonzero(decisions.kind)[0].tolist():
            if decisions.kind[group] == PINNED:
                pin(world, group)
            else:
                fetch(world, group, decisions.plan[self.servings_of(group)])
        replay_whole(world)
        commit(world)

    def offer(self, decisions: Decisions) -> None:
        """Make other decisions, less what does not fit, the present ones, and ``best`` if they are better."""
        self.set(decisions)
        make_room(self.world)
        value = self.value
        commit(self.world)
        self._note_best(value)

    def start_cycle(self, heat: float, cooling: float) -> None:
        """Begin a cooling at the present plan.

        Args:
            heat: first temperature, as a share of the mean worsening of all moves.
            cooling: factor of the temperature after each move.
        """
        self._heat[0], self._heat[1] = heat, cooling

    def losses(self) -> Floats:
        """``[G]`` how much the value of the best decisions grows if a group alone is in HBM, 0 where it shrinks."""
        self.set(self.best)
        before = self.value
        found = np.zeros(len(self.world.groups))
        for group in np.nonzero(self.world.groups["kind"])[0].tolist():
            clear(self.world, group)
            found[group] = max(0.0, self.value - before)
            rollback(self.world)
        return found

    def anneal(self, steps: int) -> None:
        """Moves of the present cycle; ``best`` is kept up to date."""
        anneal(
            self.world,
            self.groups,
            self._cumulated,
            self._goal,
            self._heat,
            self.best.kind,
            self.best.plan,
            steps,
        )

    def shrink(self, capacity: int, decisions: Decisions) -> None:
        """Have less fast memory from now on; the decisions, less what no longer fits, become the present ones.

        ``best`` is then the best plan within that capacity.
        """
        self.world.scalars["capacity"] = capacity
        self._heat[4] = inf
        self.offer(decisions)

    def decisions_of(self, plan: Plan) -> Decisions:
        """A plan as decisions, without its addresses; of one of XLA's what can be done of it."""
        groups, problem = self.world.groups, self.program.problem
        kind = np.full(len(groups), IN_HBM, np.int64)
        served = np.full(len(self.world.servings), UNSERVED, np.int64)
        evicted = {copy.tensor for copy in plan.copies if copy.kind == "eviction"}
        for id in plan.fast_definitions:
            if id in evicted and self._make(id, plan, served):
                kind[problem.tensors[id].group] = FETCHED
            elif groups["pinnable"][problem.tensors[id].group]:
                kind[problem.tensors[id].group] = PINNED
        for copy in plan.copies:
            group = problem.tensors[copy.tensor].group
            if copy.kind == "prefetch" and kind[group] != PINNED and groups["fetched"][group] == copy.tensor:
                self._serve(copy, plan, served)
                kind[group] = FETCHED if (served[self.servings_of(group)] != UNSERVED).any() else IN_HBM
        return Decisions(kind, served)

    def _make(self, id: int, plan: Plan, served: Ints) -> bool:
        """Enter that a product is made in fast memory, and the servings before it is evicted; whether that can be."""
        first = int(self.world.tensors["serving_first"][id])
        servings = self.program.servings[id]
        if not servings or self.world.servings["earliest"][first] != MADE:
            return False
        time = self.program.problem.tensors[id].time
        until = max(stay.end for stay in plan.stays if stay.tensor == id and stay.start <= time)
        count = 0
        far = self.world.servings["far"][first:]
        while count < len(servings) - 1 and servings[count].before <= until and (id, count) in plan.fast_uses:
            if count and far[count]:
                break
            served[first + count] = STAYS if count else MADE
            count += 1
        return count > 0

    def _serve(self, copy: Copy, plan: Plan, served: Ints) -> None:
        """Enter a plan's copy, if it can be made beside those before it, and the servings that its stay is kept for.

        Where it would follow on the servings of the stay before, which one in HBM has to come between, it serves the
        next one. It starts when the stay before is over, which may be later than in the plan.
        """
        world, copied = self.world, False
        until = max(stay.end for stay in plan.stays if stay.tensor == copy.tensor and stay.start == copy.after + 1)
        first = int(world.tensors["serving_first"][copy.tensor])
        for number, serving in enumerate(self.program.servings[copy.tensor], first):
            again = number > first and served[number - 1] != UNSERVED and not world.servings["far"][number]
            if not copy.before <= serving.before <= until:
                continue
            if copied and again:
                served[number] = STAYS
            elif serving.earliest is not None and not again:
                low, high = world.servings[["earliest", "latest"]][number]
                start = min(max(world.slot_of[copy.after], low), high)
                over, there = self.over(number, served)
                if is_directly_after(serving.before, there):
                    continue
                while start <= high and world.slots["time"][start] < over:
                    start += 1
                if start <= high:
                    served[number] = start
                    copied = True

    def over(self, number: int, served: Ints) -> tuple[int, int]:
        """The time until which the stay before a serving lasts, and when an eviction at its end is in HBM; or -1."""
        world = self.world
        id = int(world.uses["tensor"][world.servings["low"][number]])
        first = int(world.tensors["serving_first"][id])
        last = next((one for one in range(number - 1, first - 1, -1) if served[one] != UNSERVED), None)
        if last is None:
            return -1, -1
        begin = next(one for one in range(last, first - 1, -1) if served[one] != STAYS)
        until = self.program.servings[id][last - first].before
        if served[begin] != MADE:
            return until, -1
        there = made_eviction(self.program, world, id, last - first).before
        return max(until, there), there

    def servings_of(self, group: int) -> slice:
        """Of the tensor of a group that prefetches may serve."""
        tensor = self.world.tensors[self.world.groups["fetched"][group]]
        return slice(int(tensor["serving_first"]), int(tensor["serving_end"]))
