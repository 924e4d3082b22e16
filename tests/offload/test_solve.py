"""Solvers against enumeration, and the rules against the judge."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.offload import judge
from mallocgame.offload.problem import OffloadProblem, Recipe, Step, Tensor, decisions, moves_of
from mallocgame.offload.rules import Moves, keep_all, play, run_time
from mallocgame.offload.solve import greedy, local, solve
from mallocgame.system.errors import BadInputError
from tests.offload.made_problems import all_plans, link, random_problem

SMALL = [seed for seed in range(40) if seed not in (9, 17, 21, 39)][:8]


def random_moves(problem: OffloadProblem, generator: random.Random) -> Moves:
    """Legal ones."""
    moves = list(keep_all(problem))
    for together in decisions(problem):
        made = tuple(generator.choice(moves_of(problem, together)) for _ in moves[together[0]])
        for number in together:
            moves[number] = made
    return tuple(moves)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 9), st.sampled_from((2.0, 1.5, 1.0)))
def test_what_the_rules_play_holds_and_takes_as_long_as_the_judge_says(
    seed: int, steps: int, tensors: int, both: float
) -> None:
    problem, budget = random_problem(seed, steps + 2, tensors, both)
    played = play(problem, random_moves(problem, random.Random(seed)), budget)
    if played is None:
        return
    # A plan that is over the budget has that fault alone.
    found = {fault.cause for fault in judge.faults(problem, played.plan, budget)}
    assert found == ({"over budget"} if played.excess else set())
    judged = judge.replay(problem, played.plan)
    assert judged.peak - budget == played.excess or played.excess == 0 >= judged.peak - budget
    assert played.seconds == run_time(problem, played.plan) == pytest.approx(judged.seconds, rel=1e-9)
    assert judged.seconds == pytest.approx(problem.seconds + judged.stall + judged.recompute, rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from((2.0, 1.2)))
def test_quick_solvers_give_plans_that_hold(seed: int, both: float) -> None:
    problem, budget = random_problem(seed, 12, 7, both)
    first = greedy(problem, budget)
    better = local(problem, budget, first, seed, float("inf"), 60)
    for found in (first, better):
        if found is not None and found.excess == 0:
            assert judge.faults(problem, found.plan, budget) == []
    if first is not None and first.excess == 0:
        assert better is not None
        assert (better.excess, better.seconds) <= (0, first.seconds)


@pytest.mark.parametrize("seed", SMALL)
def test_exact_is_the_best_of_all_plans(seed: int) -> None:
    pytest.importorskip("ortools")
    problem, budget = random_problem(seed, 6, 2)
    best = min(
        (judge.replay(problem, plan).seconds for plan in all_plans(problem) if not judge.faults(problem, plan, budget)),
        default=None,
    )
    solution = solve(problem, budget, solver="exact", time_limit=60)
    if best is None:
        assert (solution.plan, solution.status) == (None, "infeasible")
        return
    assert solution.plan is not None
    assert solution.judged is not None
    assert judge.faults(problem, solution.plan, budget) == []
    assert solution.status == "optimal"
    assert solution.judged.seconds == pytest.approx(best, rel=1e-9)
    assert solution.bound <= best * (1 + 1e-9)


def test_of_equally_quick_plans_the_one_that_touches_least_is_taken() -> None:
    # 8 bytes have to go in step 2. Both copies of either tensor hide behind the steps, and to make one again takes
    # nothing: that is 10 bytes or 8 made again against 20 or 16 copied.
    steps = tuple(Step(str(time), 100.0, 8 * (time == 2)) for time in range(5))
    tensors = tuple(Tensor(f"{size}", size, 0, 4, ((0, 4),), Recipe(0.0, ())) for size in (10, 8))
    problem = OffloadProblem("p", "by hand", link(), steps, tensors)
    played = local(problem, 18, greedy(problem, 18), 0, float("inf"), 200)
    assert played is not None
    assert (played.excess, played.seconds) == (0, 500.0)
    assert played.plan.moves == (("keep",), ("recompute",))


def test_an_unknown_solver_is_refused() -> None:
    problem, budget = random_problem(0, 6, 2)
    with pytest.raises(BadInputError, match="unknown solver 'best'"):
        solve(problem, budget, solver="best")  # type: ignore[arg-type]
