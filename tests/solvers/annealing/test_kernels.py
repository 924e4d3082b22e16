"""Kernels that only memories tell apart: they are counted right, and avoided where that costs little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.models.cycles.kinds import look
from mallocgame.models.cycles.sites import plan_masks
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.solvers.annealing.plans import pieces_of, plan_of
from mallocgame.solvers.annealing.search import Search
from tests.game.hand_made import Step, problem
from tests.solvers.annealing.test_native import annealed, varied_problem
from workloads.problems import load


def kernels_of(problem: Problem, plan: Plan) -> int:
    masks = plan_masks(problem, plan)
    timed = [time for time, instruction in enumerate(problem.instructions) if not instruction.free]
    return len({(look(problem, time), masks[time]) for time in timed})


def present_plan(search: Search) -> Plan:
    decisions = search.decisions()
    offsets = [0] * len(pieces_of(search.program, search.world, decisions))
    return plan_of(search.program, search.world, decisions, offsets, search.reach)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_kernels_are_counted_as_the_plan_has_them(seed: int) -> None:
    search = annealed(varied_problem(seed), seed, None)
    assert search.kernels == kernels_of(search.program.problem, present_plan(search))


def test_kernels_of_identical_layers_are_counted_over_many_moves() -> None:
    shipped = load("gpt2-train-v4").problem
    search = Search(shipped)
    assert search.kernels == kernels_of(shipped, Plan(shipped.fingerprint))
    search.start_cycle(1.0, 0.999)
    for _ in range(20):
        search.anneal(50)
        assert search.kernels == kernels_of(shipped, present_plan(search))


@pytest.mark.parametrize(("price", "kernels"), [(0.0, 3), (1.0, 2)])
def test_what_is_alike_stays_alike_where_a_kernel_costs_more_than_it_gains(price: float, kernels: int) -> None:
    """There is room for one of two weights. v stays between its reads, and w is read in HBM, by another kernel."""
    steps = [
        *(Step(opcode="parameter", makes=name) for name in "vw"),
        Step(10.0),
        Step(0.5, reads=("v",)),
        Step(0.5, reads=("w",)),
        Step(0.5, reads=("v",)),
    ]
    of = problem(steps, dict.fromkeys("vw", 1000), fast_bytes=1024)
    search = Search(of)
    assert search.kernels == 2
    search.charge_kernels(price, 2)
    search.greedy(np.arange(len(of.groups)).tolist())
    search.start_cycle(0.0, 0.5)
    search.anneal(200)
    search.set(search.best)
    assert search.kernels == kernels
