"""Whole episodes on random problems, against the validator and the replay, which share no code with the game."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.game import Game, Move, State
from mallocgame.game.timeline import EVICTION, PREFETCH, Timeline
from mallocgame.models.replay import replay_plan
from mallocgame.plan.validate import inexpressible, validate
from mallocgame.problem.schema import Problem
from workloads.generator import Recipe, random_problem, varied_recipe, with_reservations

SEEDS = st.integers(0, 2**32)


def varied(seed: int) -> Problem:
    """A random problem; instructions of every second one reserve fast memory."""
    problem = random_problem(seed, varied_recipe(seed))
    return with_reservations(problem, seed) if seed % 2 else problem


def random_episode(game: Game, rng: random.Random) -> tuple[State, float]:
    """The last state and the return."""
    state, total = game.start(), 0.0
    while not game.done(state):
        moves = sorted(game.legal(state), key=lambda move: move.value)
        assert moves
        state, reward = game.step(state, rng.choice(moves))
        total += reward
    return state, total


def check(problem: Problem, state: State, returned: float) -> None:
    plan = state.board.plan()
    assert not validate(problem, plan)
    assert not inexpressible(problem, plan)
    all_hbm = replay_plan(problem, Game(problem).start().board.plan(), "M").total
    assert abs(all_hbm - replay_plan(problem, plan, "M").total - returned) <= 1e-9 * all_hbm


@settings(max_examples=150, deadline=None)
@given(SEEDS, SEEDS)
def test_every_episode_ends_in_a_valid_plan_whose_replay_is_the_return(problem_seed: int, play_seed: int) -> None:
    problem = varied(problem_seed)
    state, returned = random_episode(Game(problem), random.Random(play_seed))
    check(problem, state, returned)


@settings(max_examples=100, deadline=None)
@given(SEEDS, SEEDS)
def test_an_episode_that_follows_the_known_plan_gives_it_again(problem_seed: int, play_seed: int) -> None:
    problem = varied(problem_seed)
    known = random_episode(Game(problem), random.Random(play_seed))[0].board.plan()
    game = Game(problem, known)
    state = game.start()
    while not game.done(state):
        site, legal = game.site(state), game.legal(state)
        fast = site.tensor in known.fast_definitions if site.use < 0 else (site.tensor, site.use) in known.fast_uses
        wanted = [move for move in legal if (move is not Move.DROP) == fast]
        assert len(wanted) <= 1
        state, _ = game.step(state, *(wanted or legal))  # uses between two servings become fast with the second
    assert game.plan(state) == known


@settings(max_examples=100, deadline=None)
@given(SEEDS, SEEDS)
def test_episodes_that_know_a_plan_and_play_otherwise_are_valid_too(problem_seed: int, play_seed: int) -> None:
    problem, rng = varied(problem_seed), random.Random(play_seed)
    known = random_episode(Game(problem), rng)[0].board.plan()
    state, returned = random_episode(Game(problem, known), rng)
    check(problem, state, returned)


def test_drop_backups_happen_and_keep_the_plan_valid() -> None:
    backups = 0
    for seed in range(150):
        problem = random_problem(seed, Recipe(instructions=40, fast_bytes=16384, aliasing=0.6, nesting=0.3))
        state, returned = random_episode(Game(problem), random.Random(seed))
        backups += len(state.barred)
        check(problem, state, returned)
    assert backups >= 20


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_timeline_changed_step_by_step_equals_one_made_at_once(seed: int) -> None:
    problem = varied(seed)
    game = Game(problem)
    state, _ = random_episode(game, random.Random(seed))
    grown, fresh = state.board.timeline, Timeline(game.program)
    for id in state.board.fast_definitions:
        fresh.write_fast(problem.tensors[id].time, problem.tensors[id].defined_bytes)
    for id, number in state.board.fast_uses:
        use = problem.tensors[id].uses[number]
        fresh.read_fast(use.time, use.accessed_bytes)
    for queue in (PREFETCH, EVICTION):
        for copy in grown.copies(queue):
            fresh.add_copy(copy, queue)
    fresh.refresh()
    for one, other in zip(grown.stall, fresh.stall, strict=True):
        assert abs(one - other) <= 1e-12 * fresh.total
    assert abs(grown.total - fresh.exact_total()) <= 1e-12 * fresh.total


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_step_leaves_the_old_state_as_it_was(seed: int) -> None:
    game = Game(random_problem(seed, varied_recipe(seed, largest=15)))
    state, rng = game.start(), random.Random(seed)
    while not game.done(state):
        plan, total, legal = game.plan(state), game.total(state), game.legal(state)
        moves = sorted(legal, key=lambda move: move.value)
        results = [game.step(state, move) for move in moves]
        assert (game.plan(state), game.total(state), game.legal(state)) == (plan, total, legal)
        state = rng.choice(results)[0]


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_dropping_everything_changes_nothing(seed: int) -> None:
    game = Game(varied(seed))
    state = game.start()
    while not game.done(state):
        state, reward = game.step(state, Move.DROP)
        assert reward == 0.0
    assert game.plan(state) == game.plan(game.start())
