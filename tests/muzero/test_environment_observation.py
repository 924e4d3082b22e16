"""What the network sees: of one shape for all classes, finite, and what a reader finds by hand."""

from __future__ import annotations

import random
from typing import Any

import jax
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.game.program import Program
from mallocgame.plan.plan import Plan
from muzero import environment
from muzero.environment import SIZE_CLASSES, State, Tables, size_class_of, tables_of, with_known
from muzero.environment.conformance import compiled
from muzero.environment.observation import MOST
from workloads.generator import Recipe, random_problem, varied_recipe

MEDIUM = SIZE_CLASSES[1]


def observed(tables: Tables, state: State) -> dict[str, Any]:
    made = compiled(environment.observe)(tables, state)
    return {name: np.asarray(value) for name, value in made._asdict().items()}


def some_states(seed: int) -> list[tuple[Tables, State]]:
    """States along an episode, the last one finished."""
    problem = random_problem(seed, varied_recipe(seed, largest=15))
    program = Program(problem)
    if not program.sites or size_class_of(program) not in SIZE_CLASSES[:2]:
        return some_states(seed + 1)
    tables, rng, found = tables_of(program, MEDIUM), random.Random(seed), []
    state = compiled(environment.start)(tables)
    while not state.done:
        found.append((tables, state))
        legal = np.asarray(state.legal)
        move = rng.choice([move for move in range(3) if legal[move]])
        state, _ = compiled(environment.step)(tables, state, np.int32(move))
    return [*found[:: max(1, len(found) // 5)], (tables, state)]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_every_state_is_finite_and_of_order_one(seed: int) -> None:
    for tables, state in some_states(seed):
        for part in observed(tables, state).values():
            assert part.dtype == np.float32
            assert np.isfinite(part).all()
            assert np.abs(part).max() <= MOST


def test_shapes_are_those_told_for_all_size_classes() -> None:
    program = Program(random_problem(1, Recipe(instructions=5)))
    for size in SIZE_CLASSES:
        tables = tables_of(program, size)
        state = jax.eval_shape(environment.start, tables)
        made = jax.eval_shape(environment.observe, tables, state)
        assert made.board.shape == (environment.BINS, environment.BINS, environment.BOARD_CHANNELS)
        assert made.uses.shape == (environment.SITES_AHEAD, environment.USE_FEATURES)
        assert made.supply.shape == (environment.BINS, environment.SUPPLY_CHANNELS)
        assert made.scalars.shape == (environment.SCALARS,)


def test_the_size_class_does_not_matter() -> None:
    program = Program(random_problem(9, Recipe(instructions=60, fast_bytes=65536)))
    found = []
    for size in SIZE_CLASSES[1], SIZE_CLASSES[3]:
        rng, tables, parts = random.Random(3), tables_of(program, size), []
        state = compiled(environment.start)(tables)
        while not state.done:
            move = rng.choice(np.flatnonzero(np.asarray(state.legal)).tolist())
            state, _ = compiled(environment.step)(tables, state, np.int32(move))
            if int(state.at) % 7 == 0:
                parts.append(observed(tables, state))
        found.append(parts)
    assert len(found[0]) == len(found[1])
    for one, other in zip(*found, strict=True):
        for name, value in one.items():
            np.testing.assert_allclose(other[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_board_shows_what_a_pin_holds() -> None:
    program = Program(random_problem(4, Recipe(instructions=12, fast_bytes=8192, nesting=0.0, parameters=1)))
    tables = tables_of(program, MEDIUM)
    state = compiled(environment.start)(tables)
    while not state.legal[2]:
        state, _ = compiled(environment.step)(tables, state, np.int32(0))
    site = program.sites[int(state.at)]
    tensor = program.problem.tensors[site.tensor]
    before = observed(tables, state)
    assert before["board"][..., 0].sum() == 0.0
    now = 8  # the first bin after the past ones
    assert np.isclose(before["board"][now, :, 2].sum() * 8192 / 32, tensor.size)
    state, _ = compiled(environment.step)(tables, state, np.int32(2))
    after = observed(tables, state)
    held = after["board"][..., 0]
    bin_of_definition = now + site.time - program.sites[int(state.at)].time
    top = -(-tensor.size // 256) * 256
    assert np.isclose(held[bin_of_definition].sum() * 8192 / 32, top)


def test_the_uses_begin_with_the_next_site_and_end_with_padding() -> None:
    program = Program(random_problem(4, Recipe(instructions=6)))
    tables = tables_of(program, MEDIUM)
    state = compiled(environment.start)(tables)
    uses = observed(tables, state)["uses"]
    count = len(program.sites)
    assert count < environment.SITES_AHEAD
    assert uses[:count, 0].all()
    assert not uses[count:].any()
    first = program.sites[0]
    tensor = program.problem.tensors[first.tensor]
    assert uses[0, 1] == (first.use < 0)
    assert uses[0, 6] == 1.0
    assert uses[0, 7] == 1.0
    assert np.isclose(uses[0, 9], tensor.size / 16384)


def test_the_mask_is_among_the_scalars() -> None:
    for tables, state in some_states(3):
        np.testing.assert_array_equal(observed(tables, state)["scalars"][:3], np.asarray(state.legal, np.float32))


def test_a_known_plan_is_shown_from_the_next_site_on() -> None:
    """Of a plan that pins the first tensor and nothing else."""
    program = Program(random_problem(4, Recipe(instructions=6)))
    tables = tables_of(program, MEDIUM)
    first = next(site.tensor for site in program.sites if site.use < 0)
    plan = Plan(program.problem.fingerprint, frozenset({first}))
    shown = with_known(tables, program, plan)
    state = compiled(environment.start)(shown)
    fast = [float(site.use < 0 and site.tensor == first) for site in program.sites]
    assert sum(fast) == 1
    for _ in range(2):
        at = int(state.at)
        uses = observed(shown, state)["uses"]
        assert uses[: len(fast) - at, 18].tolist() == fast[at:]
        assert uses[: len(fast) - at, 19].tolist() == [1 - one for one in fast[at:]]
        assert not observed(tables, state)["uses"][:, 18:].any()
        move = np.flatnonzero(np.asarray(state.legal))[0]
        state, _ = compiled(environment.step)(shown, state, np.int32(move))
