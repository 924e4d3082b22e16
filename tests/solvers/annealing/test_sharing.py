"""Prefetches that start together: fewer times, hardly any seconds, and plans that hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.models.replay import replay_plan
from mallocgame.plan.validate import inexpressible, validate
from mallocgame.solvers.annealing.plans import PackedPlan, packed_plan
from mallocgame.solvers.annealing.search import Search
from mallocgame.solvers.annealing.sharing import SLACK, share_starts
from mallocgame.solvers.annealing.world import PINNED
from tests.game.hand_made import Step, problem
from tests.solvers.annealing.test_native import annealed, varied_problem


def starts_of(search: Search) -> set[int]:
    plan = search.world.servings["plan"]
    return {int(slot) for slot in plan[plan >= 0]}


def packed_of(search: Search) -> PackedPlan:
    ones = np.ones(len(search.program.problem.groups))
    return packed_plan(
        search.program, search.world, search.decisions(), lambda: ones, time_limit=5.0, seed=0, reach=search.reach
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_fewer_starts_cost_hardly_anything(seed: int) -> None:
    search = annealed(varied_problem(seed), seed, None)
    packed = packed_of(search)
    search.set(packed.decisions)
    before, value, kinds = starts_of(search), search.value, search.decisions().kind
    shared, plan = share_starts(search, packed.decisions, packed.plan)
    assert starts_of(search) <= before
    assert search.value <= value * (1 + SLACK) + 1e-12
    np.testing.assert_array_equal(shared.kind, kinds)
    of = search.program.problem
    assert validate(of, plan) == ()
    assert inexpressible(of, plan) == ()
    assert search.seconds(0) == pytest.approx(replay_plan(of, plan, "M").total, rel=1e-9)
    assert search.decisions_of(plan).plan.tolist() == shared.plan.tolist()


def test_two_weights_are_fetched_at_one_time_where_there_is_room_for_both() -> None:
    """v and w, of 1 us each, are read after 10 us of work apiece: w may start as early as v, beside it."""
    steps = [
        *(Step(opcode="parameter", makes=name) for name in "vw"),
        Step(10.0),
        Step(1.0, reads=("v",)),
        Step(10.0),
        Step(1.0, reads=("w",)),
    ]
    for fast_bytes, starts in ((2048, 1), (1024, 2)):
        of = problem(steps, dict.fromkeys("vw", 1000), fast_bytes=fast_bytes)
        search = Search(of)
        search.greedy(range(len(of.groups)))
        assert PINNED not in search.decisions().kind.tolist()
        assert len(starts_of(search)) == 2
        share_starts(search, search.decisions(), packed_of(search).plan)
        assert len(starts_of(search)) == starts


@pytest.mark.parametrize(("operand", "starts"), [(0, 1), (1, 2)])
def test_only_what_is_for_the_same_operand_number_starts_together(operand: int, starts: int) -> None:
    """One override says it of one operand number: w, read as another operand than v, may keep its own time."""
    steps = [
        *(Step(opcode="parameter", makes=name) for name in "vwx"),
        Step(10.0),
        Step(1.0, reads=("v",)),
        Step(10.0),
        Step(1.0, reads=("w",) if operand == 0 else ("x", "w")),
    ]
    of = problem(steps, {"v": 1000, "w": 1000, "x": 4000}, fast_bytes=2048)
    search = Search(of)
    search.greedy(range(len(of.groups)))
    assert len(starts_of(search)) == 2
    share_starts(search, search.decisions(), packed_of(search).plan)
    assert len(starts_of(search)) == starts
