"""Both back ends against enumeration of the whole plan space, on tiny problems."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mallocgame.models.replay import replay_plan
from mallocgame.plan.validate import inexpressible, validate
from mallocgame.solvers.exact import BACKENDS, Backend, solve_exactly
from tests.game.brute_force import best_plan
from workloads.generator import random_problem, tiny_recipe, with_links, with_reservations

PLANS = 2000


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(60))
def test_optimum_is_that_of_enumeration(seed: int, backend: Backend) -> None:
    """From seed 30 on two cores write half of the values, from 40 on instructions reserve fast memory.

    With seeds that are multiples of 3 links bound some.
    """
    problem = random_problem(seed, replace(tiny_recipe(seed), two_cores=0.5 if seed >= 30 else 0.0))
    if seed >= 40:
        problem = with_reservations(problem, seed)
    if seed % 3 == 0:
        problem = with_links(problem, seed)
    best = best_plan(problem, PLANS)
    if best is None:
        pytest.skip("too many plans to enumerate")
    found = solve_exactly(problem, backend=backend, time_limit=30)
    assert found.status == "optimal"
    assert found.plan is not None
    assert not validate(problem, found.plan)
    if all(copy.kind == "prefetch" for copy in found.plan.copies):
        assert not inexpressible(problem, found.plan)
    assert found.seconds == replay_plan(problem, found.plan, "M").total
    assert found.seconds == pytest.approx(best[0], rel=1e-6)
    assert found.bound <= best[0] * (1 + 1e-9)
