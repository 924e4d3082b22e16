"""Random plans are valid, repeatable, and differ in their placements."""

import pytest

from mallocgame.models.cycles.sites import plan_masks
from mallocgame.optimizer.random_plans import ROOM, random_plan
from mallocgame.plan.validate import inexpressible, validate
from workloads.generator import random_problem


@pytest.mark.parametrize("seed", range(6))
def test_valid_and_repeatable(seed: int) -> None:
    problem = random_problem(seed)
    for share in (0.3, 0.9):
        plan = random_plan(problem, seed, share)
        assert plan == random_plan(problem, seed, share)
        assert not validate(problem, plan)
        assert not inexpressible(problem, plan)
        tops = [stay.offset + problem.tensors[stay.tensor].size for stay in plan.stays]
        assert max(tops, default=0) <= ROOM * problem.target.fast_bytes


def test_placements_differ_and_grow_with_the_share() -> None:
    problem = random_problem(1)
    masks = {tuple(plan_masks(problem, random_plan(problem, seed, 0.5))) for seed in range(10)}
    assert len(masks) >= 8
    assert not any(plan_masks(problem, random_plan(problem, 0, 0.0)))
    few, many = (sum(len(random_plan(problem, seed, share).stays) for seed in range(10)) for share in (0.2, 0.9))
    assert few < many
