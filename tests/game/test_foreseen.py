"""XLA's own placement as it is foreseen: by hand, without overlaps, and beside what XLA did."""

from __future__ import annotations

from itertools import combinations

import pytest

from mallocgame.models.replay import replay_plan
from mallocgame.problem.schema import Problem
from mallocgame.solvers.foreseen import foresee
from tests.game.hand_made import Step, problem
from workloads.generator import random_problem, varied_recipe
from workloads.problems import load


def test_by_hand() -> None:
    """512 bytes of a weight take 0.512 us from HBM, beside which the first two steps compute for 4 us."""
    steps = [
        Step(opcode="parameter", makes="x"),
        Step(opcode="parameter", makes="big"),
        Step(opcode="parameter", makes="weight"),
        Step(compute_us=0.1, makes="a", reads=("x",)),
        Step(compute_us=4.0, makes="b", reads=("a",)),
        Step(compute_us=0.1, makes="c", reads=("b", "weight")),
        Step(compute_us=0.1, makes="d", reads=("c", "big")),
        Step(opcode="tuple", reads=("d",)),
    ]
    sizes = {"x": 256, "big": 1024, "weight": 512, "a": 256, "b": 256, "c": 256, "d": 256}
    task = problem(steps, sizes, fast_bytes=4096)
    names = {tensor.instruction: tensor.id for tensor in task.tensors}
    plan = foresee(task)
    assert plan.fast_definitions == {names["a"], names["b"], names["c"]}  # d is the result
    assert {(names["big"], 0), (names["weight"], 0)} <= plan.fast_uses
    copies = [(copy.tensor, copy.kind, copy.after, copy.before) for copy in plan.copies]
    assert copies == [(names["weight"], "prefetch", 3, 5)]  # big, the largest parameter, is there from the beginning


def _check_apart(task: Problem) -> None:
    plan = foresee(task)
    groups = [task.tensors[stay.tensor].group for stay in plan.stays]
    ends = [stay.offset + task.groups[group].size for stay, group in zip(plan.stays, groups, strict=True)]
    assert max(ends, default=0) <= task.target.fast_bytes
    for (one, mine, end), (other, its, top) in combinations(zip(plan.stays, groups, ends, strict=True), 2):
        together = one.start <= other.end and other.start <= one.end
        assert mine == its or not together or end <= other.offset or top <= one.offset
    assert replay_plan(task, plan, "M").total > 0


@pytest.mark.parametrize("seed", range(12))
def test_stays_do_not_overlap(seed: int) -> None:
    _check_apart(random_problem(seed, varied_recipe(seed)))


@pytest.mark.parametrize("name", ["alexnet-v4lite", "alphatensor-v4lite", "resnet101-v5e", "diffusion-step-v5p"])
def test_beside_what_xla_did(name: str) -> None:
    """Nine of ten sites that XLA had in fast memory are foreseen there."""
    file = load(name)
    assert file.default.plan is not None
    plan, own = foresee(file.problem), file.default.plan
    assert len(plan.fast_uses & own.fast_uses) >= 0.9 * len(own.fast_uses)
    assert len(plan.fast_definitions & own.fast_definitions) >= 0.9 * len(own.fast_definitions)
