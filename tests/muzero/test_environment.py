"""The JAX environment plays the same game as the reference, whatever the padding and the batch."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workloads.problems as shipped
from mallocgame.game import Game, Move
from mallocgame.game.program import Program
from mallocgame.plan.validate import validate
from mallocgame.problem.schema import Problem
from mallocgame.system.errors import BadInputError
from muzero import environment
from muzero.environment import SIZE_CLASSES, State, Tables, size_class_of, tables_of
from muzero.environment import tables as tables_module
from muzero.environment.conformance import compiled, play
from muzero.search import environment as search_environment
from workloads.generator import Recipe, random_problem, tiny_recipe, varied_recipe, with_links, with_reservations

SEEDS = st.integers(0, 2**32)
SMALL, MEDIUM = SIZE_CLASSES[:2]


def small_problem(seed: int) -> Problem:
    """A random problem that the smallest class holds."""
    while True:
        problem = random_problem(seed, varied_recipe(seed, largest=20))
        if size_class_of(Program(problem)) == SMALL:
            return problem
        seed += 1


def stacked(trees: list[Any]) -> Any:
    """The trees as one, with a new first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def random_legal(rng: random.Random, legal: Any) -> int:
    return rng.choice([move for move in range(3) if legal[move]])


def _varied(problem: Problem, seed: int) -> Problem:
    """Instructions of every second problem reserve fast memory, links bound some of every third."""
    problem = with_reservations(problem, seed) if seed % 2 else problem
    return problem if seed % 3 else with_links(problem, seed)


@settings(max_examples=15, deadline=None)
@given(SEEDS, SEEDS, st.sampled_from([0.0, 0.5]))
def test_random_moves_give_the_same_in_both(problem_seed: int, play_seed: int, two_cores: float) -> None:
    recipe = replace(varied_recipe(problem_seed, largest=30), two_cores=two_cores)
    problem = random_problem(problem_seed, recipe)
    play(_varied(problem, problem_seed), play_seed, 1, MEDIUM)


@settings(max_examples=15, deadline=None)
@given(SEEDS, SEEDS)
def test_tiny_problems_too(problem_seed: int, play_seed: int) -> None:
    problem = random_problem(problem_seed, tiny_recipe(problem_seed))
    play(_varied(problem, problem_seed), play_seed, 20, MEDIUM)


@settings(max_examples=10, deadline=None)
@given(SEEDS, SEEDS)
def test_known_plans_are_kept_to_alike(problem_seed: int, play_seed: int) -> None:
    recipe = varied_recipe(problem_seed, largest=20)
    problem = with_reservations(random_problem(problem_seed, recipe), problem_seed)
    assert play(problem, play_seed, 250, MEDIUM).episodes != 1


def test_drop_backups_are_the_same() -> None:
    backups = 0
    for seed in range(12):
        recipe = Recipe(instructions=25, fast_bytes=16384, aliasing=0.6, nesting=0.3)
        backups += play(random_problem(seed, recipe), seed, 150, MEDIUM).drop_backups
    assert backups >= 3


@pytest.mark.parametrize("name", ["gpt2-scan-v4", "k-means-v6e", "lattice-boltzmann-v5e", "wide-and-deep-v4"])
def test_shipped_problems_are_the_same(name: str) -> None:
    play(shipped.load(name).problem, 0, 1, MEDIUM)


@pytest.mark.parametrize("seed", [25, 65])
def test_what_a_stay_would_carry_has_to_end_within_fast_memory(seed: int) -> None:
    play(random_problem(seed, varied_recipe(seed)), 0, 100, MEDIUM)


def test_plans_are_valid() -> None:
    for seed in range(4):
        problem = with_reservations(small_problem(1000 * seed), seed)
        program = Program(problem)
        tables = tables_of(program, MEDIUM)
        state, rng = compiled(environment.start)(tables), random.Random(seed)
        while not state.done:
            move = random_legal(rng, np.asarray(state.legal))
            state, _ = compiled(environment.step)(tables, state, np.int32(move))
        assert not validate(problem, environment.plan_of(program, tables, state))


def test_padding_does_not_matter() -> None:
    problem = small_problem(7)
    assert play(problem, 3, 40, SMALL) == play(problem, 3, 40, MEDIUM)


def test_step_compiles_once_for_a_size_class() -> None:
    traced = 0

    def counted(tables: Tables, state: State, move: Any) -> Any:
        nonlocal traced
        traced += 1
        return environment.step(tables, state, move)

    step = jax.jit(counted)
    for seed in (1, 2, 3):
        tables = tables_of(Program(small_problem(100 * seed)), MEDIUM)
        step.lower(tables, compiled(environment.start)(tables), np.int32(0))
    assert traced == 1


def batch_of(count: int) -> tuple[list[Tables], Any]:
    tables = [tables_of(Program(small_problem(50 * number)), MEDIUM) for number in range(count)]
    return tables, stacked(tables)


def test_a_batch_of_different_problems_is_each_alone() -> None:
    tables, batch = batch_of(4)
    start, step = jax.jit(jax.vmap(environment.start)), jax.jit(jax.vmap(environment.step))
    states, rng = start(batch), random.Random(0)
    alone = [compiled(environment.start)(one) for one in tables]
    while not bool(states.done.all()):
        legal = np.asarray(states.legal)
        moves = [random_legal(rng, row) if row.any() else 0 for row in legal]
        states, rewards = step(batch, states, jnp.array(moves, jnp.int32))
        results = [
            compiled(environment.step)(one, state, np.int32(move))
            for one, state, move in zip(tables, alone, moves, strict=True)
        ]
        alone = [state for state, _ in results]
        np.testing.assert_allclose(rewards, [float(reward) for _, reward in results], rtol=0, atol=1e-15)
        for leaf, expected in zip(jax.tree.leaves(states), jax.tree.leaves(stacked(alone)), strict=True):
            np.testing.assert_allclose(leaf, expected, rtol=1e-6, atol=1e-15)


def test_a_finished_state_stays_as_it_is() -> None:
    tables, state = finished(small_problem(11))
    assert not np.asarray(state.legal).any()
    for move in Move:
        same, reward = compiled(environment.step)(tables, state, np.int32(move.value))
        assert float(reward) == 0.0
        for leaf, expected in zip(jax.tree.leaves(same), jax.tree.leaves(state), strict=True):
            np.testing.assert_array_equal(leaf, expected)


def finished(problem: Problem) -> tuple[Tables, State]:
    tables = tables_of(Program(problem), MEDIUM)
    state = compiled(environment.start)(tables)
    while not state.done:
        state, _ = compiled(environment.step)(tables, state, np.int32(np.argmax(np.asarray(state.legal))))
    return tables, state


def test_auto_reset_begins_anew_where_an_episode_is_done() -> None:
    tables, state = finished(small_problem(11))
    begun = compiled(environment.start)(tables)
    assert int(environment.auto_reset(tables, begun, state).at) == 0
    later, _ = compiled(environment.step)(tables, begun, np.int32(0))
    assert int(environment.auto_reset(tables, begun, later).at) == 1


def test_auto_reset_to_takes_the_next_problem() -> None:
    tables, state = finished(small_problem(11))
    other = tables_of(Program(small_problem(500)), MEDIUM)
    begun = compiled(environment.start)(other)
    new_tables, new_state = environment.auto_reset_to(tables, state, other, begun)
    assert int(new_state.at) == 0
    np.testing.assert_array_equal(new_tables.sites, other.sites)
    early = compiled(environment.start)(tables)
    kept_tables, kept_state = environment.auto_reset_to(tables, early, other, begun)
    np.testing.assert_array_equal(kept_tables.sites, tables.sites)
    np.testing.assert_array_equal(kept_state.legal, early.legal)


def test_too_large_a_program_is_refused_with_what_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(small_problem(3))
    needed = tables_module._Writer(program).needed()
    monkeypatch.setattr(tables_module._Writer, "needed", lambda writer: needed._replace(computations=9999))
    with pytest.raises(BadInputError, match="9,999 computations"):
        size_class_of(program)
    with pytest.raises(BadInputError, match="the size class holds 16"):
        tables_of(program, SMALL)


def test_to_pass_leaves_a_state_as_it_is() -> None:
    assert environment.PASS == search_environment.PASS
    problem = small_problem(11)
    tables = tables_of(Program(problem), MEDIUM)
    state = compiled(environment.start)(tables)
    same, reward = compiled(environment.step)(tables, state, np.int32(environment.PASS))
    assert float(reward) == 0.0
    for leaf, expected in zip(jax.tree.leaves(same), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(leaf, expected)


def test_too_large_a_fast_memory_is_refused() -> None:
    problem = random_problem(0, Recipe(instructions=3, fast_bytes=2**31))
    with pytest.raises(BadInputError, match="addresses have 31 bits"):
        size_class_of(Program(problem))


def test_a_difference_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Game, "legal", lambda game, state: frozenset({Move.COPY}))
    with pytest.raises(environment.ConformanceError, match="after move 0: legal moves"):
        environment.check(small_problem(5), 0, 1)
