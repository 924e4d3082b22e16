"""The native search against the validator, the replay and its own whole replay."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mallocgame.game.program import Program
from mallocgame.models.cycles.table import CycleTable
from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.plan.reach import Gaps
from mallocgame.plan.validate import inexpressible, validate
from mallocgame.problem import priority
from mallocgame.problem.reserved import reserved_bytes
from mallocgame.problem.schema import Problem
from mallocgame.solvers.annealing.plans import packed_plan, pieces_of, plan_of
from mallocgame.solvers.annealing.replay import replay_whole
from mallocgame.solvers.annealing.search import Decisions, Search
from mallocgame.solvers.annealing.world import IN_HBM, STAYS
from workloads.generator import random_problem, varied_recipe, with_links, with_reservations
from workloads.problems import load


def observed(problem: Problem, seed: int) -> CycleTable:
    """A table of three random compiles; some instructions have no cycles."""
    rng = random.Random(seed)
    table = CycleTable(problem)
    for _ in range(3):
        masks = [rng.getrandbits(4) for _ in problem.instructions]
        table.observe(masks, [rng.choice([None, 900.0, 1500.0, 4000.0]) for _ in problem.instructions])
    return table


def drawn_reach(problem: Problem, seed: int) -> float | None:
    """One that some gap between uses just exceeds; None for half of the problems."""
    gaps = Gaps(problem)
    shares = sorted(gaps.share(a.time, b.time) for tensor in problem.tensors for a, b in pairwise(tensor.uses))
    if problem.children or not shares or seed % 2:
        return None
    return max(shares[seed // 2 % len(shares)], 1e-9)


def annealed(problem: Problem, seed: int, table: CycleTable | None, moves: int = 300) -> Search:
    search = Search(
        problem,
        weights=(1.0, 1.0),
        cycles=table,
        seed=seed,
        evict_products=seed % 3 > 0,
        reach=drawn_reach(problem, seed),
    )
    search.start_cycle(10.0, 0.99)
    if len(search.groups):
        search.anneal(moves)
    return search


def varied_problem(seed: int) -> Problem:
    """A random problem; two cores write half of the values in every other, kernels reserve memory in every third.

    In every fourth links bound some instructions.
    """
    problem = random_problem(seed, replace(varied_recipe(seed), two_cores=seed % 2 / 2))
    problem = problem if seed % 4 else with_links(problem, seed)
    return problem if seed % 3 else with_reservations(problem, seed)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_incremental_replay_is_the_whole_replay_and_that_of_the_plan(seed: int) -> None:
    problem = varied_problem(seed)
    table = observed(problem, seed)
    search = annealed(problem, seed, table)
    incremental = search.world.sums.copy()
    replay_whole(search.world)
    np.testing.assert_allclose(incremental, search.world.sums, rtol=1e-9, atol=1e-15)
    decisions = search.decisions()
    pieces = pieces_of(search.program, search.world, decisions)
    plan = plan_of(search.program, search.world, decisions, [0] * len(pieces), search.reach)
    assert search.seconds(0) == pytest.approx(replay_plan(problem, plan, "M").total, rel=1e-9)
    assert search.seconds(1) == pytest.approx(replay_plan(problem, plan, "E", cycles=table).total, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_packed_plans_are_valid_and_can_be_told_to_the_compiler(seed: int) -> None:
    problem = varied_problem(seed)
    search = annealed(problem, seed, None)
    decisions = search.decisions()
    ones = np.ones(len(problem.groups))
    packed = packed_plan(
        search.program, search.world, decisions, lambda: ones, time_limit=5.0, seed=0, reach=search.reach
    )
    assert not validate(problem, packed.plan)
    assert not inexpressible(problem, packed.plan)
    if packed.status == "feasible":
        assert packed.decisions is decisions
    else:
        assert packed.status == "infeasible"
        assert set(pieces_of(search.program, search.world, packed.decisions)) < set(
            pieces_of(search.program, search.world, decisions)
        )
    again = search.decisions_of(packed.plan)
    np.testing.assert_array_equal(again.kind, packed.decisions.kind)
    np.testing.assert_array_equal(again.plan, packed.decisions.plan)


@example(1308)  # a gap that is just beyond reach
@example(746)  # a product that is not made in fast memory after all
@example(125774)  # a copy beyond reach less: its use is in HBM after a fast one
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_what_does_not_fit_is_left_out(seed: int) -> None:
    problem = random_problem(seed, varied_recipe(seed))
    search = annealed(problem, seed, None)
    target = problem.target
    load = np.zeros(len(problem.instructions), np.int64)
    for _, stays, _ in pieces_of(search.program, search.world, search.decisions()):
        times = {time for _, start, end in stays for time in range(start, end + 1)}
        load[[*times]] += max(problem.tensors[id].size for id, _, _ in stays)
    fast_bytes = (int(load.max()) - 1) // target.alignment * target.alignment
    assume(all(aligned(problem, tensor.id) <= fast_bytes for tensor in problem.tensors))
    smaller = replace(problem, target=replace(target, fast_bytes=fast_bytes))
    ones, whole = np.ones(len(problem.groups)), search.decisions()
    # the reach here is the share of some gap itself, which rounding may take to the other side of it
    reach = None if search.reach is None else search.reach * target.fast_bytes / fast_bytes * (1 - 1e-12)
    packed = packed_plan(Program(smaller), search.world, whole, lambda: ones, time_limit=0.1, seed=0, reach=reach)
    assert packed.status == "infeasible"
    assert not validate(smaller, packed.plan)
    assert not inexpressible(smaller, packed.plan)


def test_losses_are_those_of_each_group_alone() -> None:
    problem = random_problem(3, varied_recipe(3))
    search = annealed(problem, 1, None, moves=3000)
    best, value, losses = search.best.copy(), search.best_value, search.losses()
    assert search.value == pytest.approx(value, rel=1e-12)
    assert np.count_nonzero(best.kind) > 2
    for group in range(len(best.kind)):
        kind = best.kind.copy()
        kind[group] = IN_HBM
        search.set(Decisions(kind, best.plan))
        assert losses[group] == pytest.approx(max(0.0, search.value - value), abs=1e-15)


@settings(max_examples=30, deadline=None)
@example(9036)  # a conditional reads the parameter, with tensors of its group inside, before an update in place
@given(st.integers(0, 10**6))
def test_bytes_taken_are_those_of_the_stays(seed: int) -> None:
    problem = varied_problem(seed)
    search = annealed(problem, seed, None)
    reserved = np.array(reserved_bytes(problem), np.int64)
    least, most = reserved.copy(), reserved.copy()
    for _, stays, _ in pieces_of(search.program, search.world, search.decisions()):
        largest = max(aligned(problem, id) for id, _, _ in stays)
        for time in {time for _, start, end in stays for time in range(start, end + 1)}:
            # A stay that carries larger tensors of its group has the bytes for them from its beginning.
            least[time] += max(aligned(problem, id) for id, start, end in stays if start <= time <= end)
            most[time] += largest
    used = search.world.used
    assert np.all(least <= used)
    assert np.all(used <= most)
    # What is reserved alone may be more than a capacity that is no multiple of the alignment.
    assert np.all(used <= np.maximum(reserved, problem.target.fast_bytes))


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


def test_equally_large_weights_that_change_places_in_the_queue() -> None:
    """A copy that is neither moved nor due may wait longer though the queue holds as much as before."""
    problem = load("llama-decode-b1-v5e").problem
    search = Search(problem)
    movable = set(search.groups.tolist())
    search.greedy([group for group in priority.order(problem) if group in movable])
    search.set(search.best)
    search.start_cycle(0.1, 0.999)
    for _ in range(400):
        search.anneal(100)
        incremental = search.value
        replay_whole(search.world)
        assert search.value == pytest.approx(incremental, rel=1e-9)


@pytest.mark.parametrize("name", ["alphatensor-v4lite", "alphazero-v5p"])
def test_what_is_done_of_xlas_own_placement_is_a_valid_plan_under_any_reach(name: str) -> None:
    """A shorter reach ends stays of products before their copies would; the next copy waits for the eviction."""
    content = load(name)
    assert content.default.plan is not None
    for reach in (0.001, 0.03, 0.3):
        search = Search(content.problem, evict_products=True, reach=reach)
        search.set(search.decisions_of(content.default.plan))
        again = repacked(search)
        assert again.copies
        assert validate(content.problem, again) == ()


@given(seed=st.integers(0, 10_000), other=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_plan_read_under_another_reach_is_a_valid_plan(seed: int, other: int) -> None:
    problem = random_problem(seed, varied_recipe(seed))
    plan = repacked(annealed(problem, seed, None))
    search = Search(problem, evict_products=True, reach=drawn_reach(problem, other))
    search.set(search.decisions_of(plan))
    assert validate(problem, repacked(search)) == ()


def repacked(search: Search) -> Plan:
    """The present plan, with addresses where it has room."""
    zeros = np.zeros(len(search.world.groups))
    return packed_plan(
        search.program, search.world, search.decisions(), lambda: zeros, time_limit=1.0, seed=0, reach=search.reach
    ).plan


def test_what_is_done_of_xlas_own_placement_can_be_told_to_the_compiler() -> None:
    """XLA copies again without a use in HBM between, and copies beside outputs that its keeps would keep in HBM."""
    for name in ("graph-convolution-v4lite", "wide-and-deep-v4", "evoformer-v5p", "swin-t-v5p"):
        content = load(name)
        assert content.default.plan is not None
        assert inexpressible(content.problem, content.default.plan)
        search = Search(content.problem)
        search.offer(search.decisions_of(content.default.plan))
        decisions = search.decisions()
        pieces = pieces_of(search.program, search.world, decisions)
        assert pieces
        plan = plan_of(search.program, search.world, decisions, [0] * len(pieces))
        assert inexpressible(content.problem, plan) == ()
