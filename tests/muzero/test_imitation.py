"""Episodes that are taught as they are: what replaces what, and what a checkpoint keeps."""

from __future__ import annotations

import numpy as np
import pytest

from muzero.training.imitation import Imitation, episode_of, stored_episodes
from muzero.training.replay import STORED, Generation
from tests.muzero.test_replay import generation


def episode(puzzle: int, length: int, seed: int = 0) -> Generation:
    made = generation([length + 1, length], seed)
    made.problems = np.array([9, puzzle], np.int32)
    return episode_of(made, 1, made.moves[:, 1])


def test_one_lane_taught_as_it_was_played() -> None:
    made = generation([3, 2])
    found = episode_of(made, 1, np.array([2, 0, 7]))
    assert found.moves.tolist() == made.moves[:2, 1:].tolist()
    assert found.rewards.tolist() == made.rewards[:2, 1:].tolist()
    assert found.weights.tolist() == [[[0, 0, 1]], [[1, 0, 0]]]
    assert found.observations["at"].tolist() == [[100], [101]]
    assert (found.problems.tolist(), found.lengths.tolist()) == ([1], [2])


def test_a_better_episode_takes_the_place_of_the_first_of_its_puzzle() -> None:
    kept = Imitation()
    for puzzle, length in ((4, 2), (4, 3), (5, 2)):
        kept.add(episode(puzzle, length))
    kept.replace(episode(4, 7, seed=1))
    kept.replace(episode(6, 1))
    assert [one.problems[0] for one in kept.episodes.generations] == [4, 4, 5, 6]
    assert [one.lengths[0] for one in kept.episodes.generations] == [7, 3, 2, 1]
    assert kept.positions == 13
    drawn = kept.episodes.draw(np.random.default_rng(0), 13_000)
    shares = np.bincount(drawn[:, 0]) / 13_000
    assert shares == pytest.approx([7 / 13, 3 / 13, 2 / 13, 1 / 13], abs=0.03)


def test_a_checkpoint_has_every_episode() -> None:
    kept = Imitation()
    assert stored_episodes(kept.stored()) == []
    made = [episode(puzzle, length, seed=puzzle) for puzzle, length in ((1, 2), (1, 1), (3, 5))]
    for one in made:
        kept.add(one)
    for before, after in zip(made, stored_episodes(kept.stored()), strict=True):
        for name in STORED:
            assert getattr(before, name).tolist() == after[name].tolist()
            assert getattr(before, name).dtype == after[name].dtype
