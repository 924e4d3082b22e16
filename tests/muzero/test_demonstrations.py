"""Plans as episodes: what is played, what is taught, and that it is legal whatever the plan."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.game.rules import Game, Move
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.solvers.base import all_hbm_seconds, solve
from muzero.training.config import ImitationConfig, ProblemsConfig, TrainConfig
from muzero.training.demonstrations import Demonstration, best_to_follow, imitate
from muzero.training.problems import prepare
from tests.game.hand_made import Step, problem
from workloads.generator import random_problem, varied_recipe

DROP, COPY, NO_COPY = (move.value for move in (Move.DROP, Move.COPY, Move.NO_COPY))


def replayed(task: Problem, moves: list[int]) -> float:
    """Seconds saved by decisions; the game itself refuses illegal ones. All of them are needed."""
    game, left = Game(task), iter(moves)
    state = game.start()
    while not game.done(state):
        legal = game.legal(state)
        state, _ = game.step(state, Move(next(left)) if len(legal) > 1 else next(iter(legal)))
    assert next(left, None) is None
    return all_hbm_seconds(task) - game.total(state)


def shown(task: Problem, plan: Plan, errors: float = 0.0) -> Demonstration:
    return imitate(Game(task), plan, 5, np.random.default_rng(0), errors)


def two_values() -> Problem:
    """``a`` and ``b`` of 512 bytes live at the same time, and fast memory has room for one of them."""
    steps = [Step(makes="a"), Step(makes="b"), Step(reads=("a",)), Step(reads=("b", "a")), Step(reads=("a",))]
    return problem(steps, {"a": 512, "b": 512}, fast_bytes=512)


def test_a_pinned_value_by_hand() -> None:
    """The plan pins ``b``: at the definition of ``a`` DROP, at that of ``b`` NO_COPY; then a copy of ``a`` finds no
    gap before ``b`` is dead, so nothing else is asked until the last use of ``a``, which the plan leaves in HBM."""
    task = two_values()
    b = next(tensor for tensor in task.tensors if tensor.time == 1)
    found = shown(task, Plan(task.fingerprint, frozenset({b.id}), frozenset({(b.id, 0)})))
    assert found.puzzle == 5
    assert found.moves.tolist()[:2] == [DROP, NO_COPY]
    assert set(found.moves.tolist()[2:]) <= {DROP}
    assert found.moves.tolist() == found.taught.tolist()
    assert replayed(task, found.moves.tolist()) == pytest.approx(2 * 512 * (1e-9 - 1e-10))


def test_nothing_in_fast_memory_is_drop_everywhere() -> None:
    task = two_values()
    found = shown(task, Plan(task.fingerprint))
    assert set(found.moves.tolist()) == {DROP}
    assert replayed(task, found.moves.tolist()) == 0.0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 1.0]))
def test_every_episode_is_legal(seed: int, errors: float) -> None:
    """Errors are the other legal move; without them what is played is what is taught."""
    task = random_problem(seed, varied_recipe(seed, 30))
    plan = solve(task, "greedy", time_limit=inf).plan
    found = shown(task, plan, errors)
    replayed(task, found.moves.tolist())
    differs = found.moves != found.taught
    assert differs.mean() == pytest.approx(errors) if errors != 0.3 and len(differs) else True
    assert np.all((found.moves[differs] == DROP) | (found.taught[differs] == DROP))


CONFIG = TrainConfig(
    problems=ProblemsConfig(known=("none", "greedy")), imitation=ImitationConfig(steps=2000, episodes=2, errors=0.5)
)


def test_what_local_search_saves_is_mostly_kept() -> None:
    kept = []
    for seed in range(12):
        task = random_problem(seed, varied_recipe(seed, 40))
        for made in prepare(CONFIG, ("task", task)):
            exact, erring = made.demonstrations
            saved = all_hbm_seconds(task) - solve(task, "local", time_limit=inf, max_steps=2000).seconds_under_m
            assert exact.moves.tolist() == exact.taught.tolist()
            assert replayed(task, exact.moves.tolist()) == pytest.approx(all_hbm_seconds(task) - exact.seconds)
            if saved > 0:
                kept.append(replayed(task, exact.moves.tolist()) / saved)
            assert len(erring.moves) == len(erring.taught)
    assert np.median(kept) > 0.95
    assert max(kept) <= 1 + 1e-9


def test_the_better_episode_is_followed() -> None:
    """Pinning ``b`` saves something in an episode, the empty plan nothing."""
    task = two_values()
    b = next(tensor for tensor in task.tensors if tensor.time == 1)
    nothing, pins = Plan(task.fingerprint), Plan(task.fingerprint, frozenset({b.id}), frozenset({(b.id, 0)}))
    assert best_to_follow(Game(task), [nothing, pins]) is pins
    assert best_to_follow(Game(task), [pins, nothing]) is pins


def test_a_puzzle_for_each_known_plan() -> None:
    """Only the second one shows a plan: greedy's, at each site."""
    task = random_problem(1, varied_recipe(1, 40))
    plan = solve(task, "greedy", time_limit=inf).plan
    plain, greedy = (made.puzzle for made in prepare(CONFIG, ("task", task)))
    assert (plain.name, greedy.name) == ("task", "task greedy")
    assert set(plain.tables.tables.known.tolist()) == {-1}
    sites = Game(task).program.sites
    fast = [
        site.tensor in plan.fast_definitions if site.use < 0 else (site.tensor, site.use) in plan.fast_uses
        for site in sites
    ]
    assert any(fast)
    assert greedy.tables.tables.known[: len(sites)].tolist() == fast
    assert set(greedy.tables.tables.known[len(sites) :].tolist()) == {-1}
