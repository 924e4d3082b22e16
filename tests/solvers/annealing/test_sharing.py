"""Prefetches that start together: fewer times, hardly any seconds, and plans that hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.models.replay import replay_plan
from mallocgame.plan.validate import inexpressible, validate
from mallocgame.solvers.annealing.plans import packed_plan
from mallocgame.solvers.annealing.search import Search
from mallocgame.solvers.annealing.sharing import SLACK, share_starts
from mallocgame.solvers.annealing.world import PINNED
from tests.game.hand_made import Step, problem
from tests.solvers.annealing.test_native import annealed, varied_problem


def starts_of(search: Search) -> set[int]:
    plan = search.world.servings["plan"]
    return {int(slot) for slot in plan[plan >= 0]}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_fewer_starts_cost_hardly_anything(seed: int) -> None:
    search = annealed(varied_problem(seed), seed, None)
    before, value, kinds = starts_of(search), search.value, search.decisions().kind
    shared = share_starts(search, search.decisions())
    assert starts_of(search) <= before
    assert search.value <= value * (1 + SLACK) + 1e-12
    np.testing.assert_array_equal(shared.kind, kinds)
    of, program = search.program.problem, search.program
    packed = packed_plan(
        program, search.world, shared, lambda: np.ones(len(of.groups)), time_limit=5.0, seed=0, reach=search.reach
    )
    assert validate(of, packed.plan) == ()
    assert inexpressible(of, packed.plan) == ()
    if packed.status == "feasible":
        assert search.seconds(0) == pytest.approx(replay_plan(of, packed.plan, "M").total, rel=1e-9)


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
        share_starts(search, search.decisions())
        assert len(starts_of(search)) == starts
