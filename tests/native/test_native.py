"""The native search against the validator, the replay and its own whole replay."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.calibration.table import CycleTable
from mallocgame.generator import random_problem, varied_recipe
from mallocgame.native.plans import packed_plan, plan_of, stays_of
from mallocgame.native.replay import replay_whole
from mallocgame.native.search import Search
from mallocgame.native.world import STAYS
from mallocgame.problem.schema import Problem
from mallocgame.replay import replay_plan
from mallocgame.validate import inexpressible, validate


def observed(problem: Problem, seed: int) -> CycleTable:
    """A table of three random compiles; some instructions have no cycles."""
    rng = random.Random(seed)
    table = CycleTable(problem)
    for _ in range(3):
        masks = [rng.getrandbits(4) for _ in problem.instructions]
        table.observe(masks, [rng.choice([None, 900.0, 1500.0, 4000.0]) for _ in problem.instructions])
    return table


def annealed(problem: Problem, seed: int, table: CycleTable | None, moves: int = 300) -> Search:
    search = Search(problem, weights=(1.0, 1.0), cycles=table, seed=seed)
    search.start_cycle(10.0, 0.99)
    if len(search.groups):
        search.anneal(moves)
    return search


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_incremental_replay_is_the_whole_replay_and_that_of_the_plan(seed: int) -> None:
    problem = random_problem(seed, varied_recipe(seed))
    table = observed(problem, seed)
    search = annealed(problem, seed, table)
    incremental = search.world.sums.copy()
    replay_whole(search.world)
    np.testing.assert_allclose(incremental, search.world.sums, rtol=1e-9, atol=1e-15)
    decisions = search.decisions()
    plan = plan_of(search.program, search.world, decisions, defaultdict(int))
    assert search.seconds(0) == pytest.approx(replay_plan(problem, plan, "M").total, rel=1e-9)
    assert search.seconds(1) == pytest.approx(replay_plan(problem, plan, "E", cycles=table).total, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_packed_plans_are_valid_and_can_be_told_to_the_compiler(seed: int) -> None:
    problem = random_problem(seed, varied_recipe(seed))
    search = annealed(problem, seed, None)
    plan, packing = packed_plan(search.program, search.world, search.decisions(), time_limit=5.0, seed=0)
    if plan is None:
        assert packing.status == "infeasible"
        return
    assert not validate(problem, plan)
    assert not inexpressible(problem, plan)
    again = search.decisions_of(plan)
    np.testing.assert_array_equal(again.kind, search.decisions().kind)
    np.testing.assert_array_equal(again.plan, search.decisions().plan)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_bytes_taken_are_those_of_the_stays(seed: int) -> None:
    problem = random_problem(seed, varied_recipe(seed))
    search = annealed(problem, seed, None)
    least, most = np.zeros((2, len(problem.instructions)), np.int64)
    for stays in stays_of(search.program, search.world, search.decisions()).values():
        largest = max(aligned(problem, id) for id, _, _ in stays)
        for time in {time for _, start, end in stays for time in range(start, end + 1)}:
            # A stay that carries larger tensors of its group has the bytes for them from its beginning.
            least[time] += max(aligned(problem, id) for id, start, end in stays if start <= time <= end)
            most[time] += largest
    used = search.world.used
    assert np.all(least <= used)
    assert np.all(used <= most)
    assert used.max() <= problem.target.fast_bytes


def aligned(problem: Problem, tensor: int) -> int:
    """The bytes that a tensor takes."""
    return -(-problem.tensors[tensor].size // problem.target.alignment) * problem.target.alignment


def test_best_decisions_have_the_best_value() -> None:
    problem = random_problem(3, varied_recipe(3))
    search = annealed(problem, 1, None, moves=3000)
    value = search.best_value
    search.set(search.best)
    assert search.value == pytest.approx(value, rel=1e-12)
    assert value <= annealed(problem, 1, None, moves=1).best_value


def test_less_memory_makes_groups_leave() -> None:
    problem = random_problem(11, varied_recipe(11))
    search = annealed(problem, 1, None, moves=3000)
    peak = int(search.world.used.max())
    search.set(search.best)
    search.shrink(peak // 2, search.best.copy())
    assert search.world.used.max() <= peak // 2
    assert search.capacity == peak // 2


def test_same_seed_same_moves() -> None:
    problem = random_problem(4, varied_recipe(4))
    one, other = (annealed(problem, 9, None, moves=500).decisions() for _ in range(2))
    np.testing.assert_array_equal(one.kind, other.kind)
    np.testing.assert_array_equal(one.plan, other.plan)
    assert (one.plan >= STAYS).all()
