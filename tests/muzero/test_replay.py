"""The replay: what is drawn how often, what a batch says, and what value targets are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muzero.training.config import ReplayConfig
from muzero.training.replay import MIN_PRIORITY, STORED, Generation, Replay, stored_generations
from muzero.training.targets import value_targets


def generation(lengths: list[int], seed: int = 0) -> Generation:
    """Random episodes; an observation is 100 x episode + step."""
    rng = np.random.default_rng(seed)
    steps, lanes = max(lengths), len(lengths)
    inside = np.arange(steps)[:, None] < np.array(lengths)
    return Generation(
        problems=np.arange(lanes, dtype=np.int32),
        lengths=np.array(lengths, np.int32),
        moves=np.where(inside, rng.integers(3, size=inside.shape), -1).astype(np.int8),
        rewards=np.where(inside, rng.random(inside.shape), 0).astype(np.float32),
        weights=np.where(inside[..., None], rng.random((steps, lanes, 3)), 0).astype(np.float32),
        values=np.where(inside, rng.random(inside.shape), 0).astype(np.float32),
        priorities=np.zeros(inside.shape),
        observations={"at": (np.arange(lanes) * 100 + np.arange(steps)[:, None]).astype(np.float16)},
    )


def test_value_targets_by_hand() -> None:
    rewards = np.array([[1, 10], [2, 20], [4, 0], [8, 0]], np.float32)
    values = np.array([[0.5, 0.5], [0.25, 0.25], [0.125, 0], [0.0625, 0]], np.float32)
    lengths = np.array([4, 2])
    assert value_targets(rewards, values, lengths, 0).tolist() == [[15, 30], [14, 20], [12, 0], [8, 0]]
    assert value_targets(rewards, values, lengths, 1).tolist() == [[1.25, 10.25], [2.125, 20], [4.0625, 0], [8, 0]]
    assert value_targets(rewards, values, lengths, 3).tolist() == [[7.0625, 30], [14, 20], [12, 0], [8, 0]]


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 12), st.integers(0, 99))
def test_value_targets_against_sums(lengths: list[int], steps: int, seed: int) -> None:
    made = generation(lengths, seed)
    found = value_targets(made.rewards, made.values, made.lengths, steps)
    for lane, length in enumerate(lengths):
        for at in range(length):
            end = min(at + steps, length) if steps else length
            expected = float(made.rewards[at:end, lane].astype(np.float64).sum())
            expected += float(made.values[end, lane]) if end < length else 0.0
            assert found[at, lane] == pytest.approx(expected, abs=1e-5)
        assert not found[length:, lane].any()


def test_a_batch_says_what_follows() -> None:
    replay = Replay(ReplayConfig())
    first, second = generation([3, 1]), generation([2], seed=1)
    replay.add(first)
    replay.add(second)
    batch = replay.batch(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]]), 2, replay.targets(0))
    assert batch.observations["at"].tolist() == [0, 1, 100]
    assert batch.moves.tolist() == [
        second.moves[:2, 0].tolist(),
        first.moves[1:3, 0].tolist(),
        [first.moves[0, 1], 0],
    ]
    assert batch.inside.tolist() == [[1, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert batch.rewards[2].tolist() == [first.rewards[0, 1], 0]
    assert batch.values[0].tolist() == [np.float32(second.rewards.sum()), second.rewards[1, 0], 0]
    assert batch.weights[1, 0].tolist() == first.weights[1, 0].tolist()
    assert not batch.weights[:, 2].any()
    assert batch.importance.tolist() == [1, 1, 1]


def test_draws_are_in_proportion_to_the_priorities() -> None:
    replay = Replay(ReplayConfig(priority_exponent=1.0, importance_exponent=1.0))
    replay.add(generation([2, 1]))
    replay.add(generation([1]))
    every = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    replay.update(every, np.array([0.1, -0.2, 0.3, 0.4]) - MIN_PRIORITY * np.array([1, -1, 1, 1]))
    drawn = replay.draw(np.random.default_rng(0), 40_000)
    shares = [float(np.mean(np.all(drawn == place, axis=1))) for place in every]
    assert shares == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.01)
    assert replay.batch(every, 0, replay.targets(0)).importance == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=3), min_size=1, max_size=5), st.integers(0, 99))
def test_only_positions_of_episodes_are_drawn(lengths: list[list[int]], seed: int) -> None:
    replay = Replay(ReplayConfig(positions=20))
    for number, each in enumerate(lengths):
        replay.add(generation(each, number))
    assert replay.positions <= 20 or len(replay.generations) == 1
    assert [made.lengths.tolist() for made in replay.generations] == lengths[-len(replay.generations) :]
    for number, step, lane in replay.draw(np.random.default_rng(seed), 50):
        assert step < replay.generations[number].lengths[lane]


def test_what_is_new_is_as_urgent_as_the_most_urgent() -> None:
    replay = Replay(ReplayConfig())
    replay.add(generation([2]))
    assert replay.generations[0].priorities.tolist() == [[1], [1]]
    replay.update(np.array([[0, 0, 0], [0, 1, 0]]), np.array([3.0, 0.0]))
    replay.add(generation([1, 2]))
    assert replay.generations[1].priorities.tolist() == [[3.001, 3.001], [0, 3.001]]


def test_stored_generations_are_those_that_were_there() -> None:
    replay = Replay(ReplayConfig())
    replay.add(generation([3, 1]))
    replay.add(generation([2]))
    for kept, stored in zip(replay.generations, stored_generations(replay.stored()), strict=True):
        assert all(np.array_equal(getattr(kept, name), stored[name]) for name in STORED)
