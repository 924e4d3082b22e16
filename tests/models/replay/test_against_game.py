"""Random playouts: the validator accepts every plan of the game, and the replay finds the total the game claims."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.game import Game, Move
from mallocgame.models.replay import relaxed_bound, replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.plan.validate import inexpressible, validate
from mallocgame.problem.schema import Problem
from workloads.generator import random_problem, varied_recipe, with_links, with_reservations

SEEDS = st.integers(0, 2**32 - 1)


def play(problem: Problem, seed: int, eager: float) -> tuple[Plan, float]:
    """The plan and the sum of rewards of one playout that drops only with chance 1 - ``eager`` where it need not."""
    rng = random.Random(seed)
    game = Game(problem)
    state, gained = game.start(), 0.0
    while not game.done(state):
        legal = sorted(game.legal(state), key=lambda move: move.value)
        better = [move for move in legal if move is not Move.DROP]
        state, reward = game.step(state, rng.choice(better if better and rng.random() < eager else legal))
        gained += reward
    return game.plan(state), gained


@settings(max_examples=200, deadline=None)
@given(
    problem_seed=SEEDS,
    play_seed=SEEDS,
    eager=st.sampled_from([0.3, 0.8, 1.0]),
    two_cores=st.sampled_from([0.0, 0.5]),
)
def test_game_validator_and_replay_agree(problem_seed: int, play_seed: int, eager: float, two_cores: float) -> None:
    problem = random_problem(problem_seed, replace(varied_recipe(problem_seed), two_cores=two_cores))
    if problem_seed % 2:
        problem = with_reservations(problem, problem_seed)
    if problem_seed % 3 == 0:
        problem = with_links(problem, problem_seed)
    plan, gained = play(problem, play_seed, eager)
    assert validate(problem, plan) == ()
    assert inexpressible(problem, plan) == ()
    before = replay_plan(problem, Plan(problem.fingerprint), "M")
    after = replay_plan(problem, plan, "M")
    assert before.total - after.total == pytest.approx(gained, rel=1e-9, abs=1e-9 * before.total)
    assert relaxed_bound(problem, "M") <= after.total * (1 + 1e-12)
    assert relaxed_bound(problem, "E") <= replay_plan(problem, plan, "E").total * (1 + 1e-12)
    assert 0.0 <= after.stall <= after.total
    assert after.peak_fast <= problem.target.fast_bytes


@settings(max_examples=100, deadline=None)
@given(problem_seed=SEEDS, play_seed=SEEDS, data=st.data())
def test_the_validator_sees_what_is_broken_in_a_good_plan(
    problem_seed: int, play_seed: int, data: st.DataObject
) -> None:
    """Take away one stay, definition or copy of a valid plan, and it is no longer valid."""
    problem = random_problem(problem_seed, varied_recipe(problem_seed, 25))
    plan, _ = play(problem, play_seed, 0.9)
    damage = []
    if plan.stays:
        damage.append("stay")
    if plan.copies:
        damage.append("copy")
    if plan.fast_definitions:
        damage.append("definition")
    if not damage:
        return
    kind = data.draw(st.sampled_from(damage))
    stays, copies, definitions = list(plan.stays), list(plan.copies), plan.fast_definitions
    if kind == "stay":
        stays.pop(data.draw(st.integers(0, len(stays) - 1)))
    elif kind == "copy":
        copies.pop(data.draw(st.integers(0, len(copies) - 1)))
    else:
        definitions -= {data.draw(st.sampled_from(sorted(definitions)))}
    broken = Plan(plan.fingerprint, definitions, plan.fast_uses, tuple(stays), tuple(copies))
    assert validate(problem, broken)
