"""Losses, learning rates and metrics by hand."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

from mallocgame.system.errors import BadInputError
from muzero.training.best import Best
from muzero.training.config import LearnerConfig
from muzero.training.evaluate import _scores
from muzero.training.learner import learning_rate
from muzero.training.losses import losses
from muzero.training.metrics import FILE, Metrics, read_metrics
from muzero.training.puzzles import draw, groups
from muzero.training.replay import Batch
from muzero.training.self_play import Decisions, Played
from tests.muzero.line_game import SMALL, Seen, puzzles


def batch(importance: list[float]) -> Batch:
    """Two positions, one move ahead; the second episode ends with that move."""
    shape = SMALL.shape
    return Batch(
        observations=Seen(*(np.zeros((2, *each), np.float16) for each in shape)),  # type: ignore[arg-type]
        moves=np.array([[1], [0]], np.int32),
        weights=np.array([[[0.5, 0.5, 0], [1, 0, 0]], [[0, 0, 1], [0, 0, 0]]], np.float32),
        values=np.array([[0.5, 0.25], [0.125, 0]], np.float32),
        rewards=np.array([[0.25], [0.125]], np.float32),
        inside=np.array([[1, 1], [1, 0]], np.float32),
        importance=np.array(importance, np.float32),
    )


def test_an_untrained_network_has_the_losses_of_even_odds() -> None:
    found = jax.jit(losses, static_argnums=0)(SMALL, SMALL.init(jax.random.key(0)), batch([1.0, 0.5]), 2.0, 4.0)
    three, bins = np.log(3), np.log(SMALL.config.bins)
    policy = [(three - np.log(2)) + three, three + 0]  # the position past the end does not count
    assert float(found.policy) == pytest.approx((policy[0] + 0.5 * policy[1]) / 2 / 2, rel=1e-5)
    assert float(found.value) == pytest.approx((2 * bins + 0.5 * 2 * bins) / 2 / 2, rel=1e-5)
    assert float(found.reward) == pytest.approx((bins + 0.5 * bins) / 2 / 2, rel=1e-5)
    assert float(found.total) == pytest.approx(float(found.policy + 2 * found.value + 4 * found.reward), rel=1e-5)
    assert np.asarray(found.errors) == pytest.approx([-0.5, -0.125], abs=1e-5)


def test_learning_rate_goes_up_and_down() -> None:
    rate = learning_rate(LearnerConfig(learning_rate=1.0, warm_up=9, decay=10, final_share=0.2))
    assert [float(rate(update)) for update in (0, 9, 14, 19, 99)] == pytest.approx([0.1, 1.0, 0.6, 0.2, 0.2])
    assert float(learning_rate(LearnerConfig(learning_rate=3.0, warm_up=0))(0)) == 3.0


def test_metrics_go_on_before_what_comes_again(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, 0)
    for iteration in range(3):
        metrics.write(iteration, {"x": iteration / 2})
    metrics.close()
    with open(tmp_path / FILE, "a") as file:
        file.write('{"iteration": 3, "x"')  # cut off by a kill
    Metrics(tmp_path, 2).close()
    assert read_metrics(tmp_path) == [{"iteration": 0, "x": 0.0}, {"iteration": 1, "x": 0.5}]
    (tmp_path / FILE).write_text('{"iteration": 0}\n{"it\n{"iteration": 2}\n')
    with pytest.raises(BadInputError, match=r"metrics\.jsonl:2: not JSON"):
        read_metrics(tmp_path)


def test_scores_by_hand() -> None:
    hbm, known = np.array([10.0, 10, 10, 10]), np.array([6.0, 6, 10, 10])
    assert _scores(np.array([7.0, 12, 10, 11]), hbm, known).tolist() == pytest.approx([0.75, -0.5, 1, 0.9])


def test_groups_are_of_one_kind_and_length() -> None:
    made = puzzles(20)
    found = groups(made)
    assert sorted(number for group in found for number in group) == list(range(20))
    assert all(len({made[number].sites.bit_length() for number in group}) == 1 for group in found)
    drawn = draw(np.random.default_rng(0), [[3, 4, 5], [6]], 8)
    counts = [int((drawn == number).sum()) for number in (3, 4, 5, 6)]
    assert counts == [0, 0, 0, 8] or (sum(counts[:3]) == 8 and max(counts[:3]) == 3)


def test_only_better_episodes_are_kept(tmp_path: Path) -> None:
    made = puzzles(2)
    best = Best(made)

    def played(moves: list[list[int]], returns: list[float]) -> Played:
        array = np.array(moves, np.int32).T
        zeros = np.zeros(array.shape, np.float32)
        lengths = (array >= 0).sum(axis=0).astype(np.int32)
        return Played(Decisions(array, zeros, zeros[..., None], zeros), lengths, np.array(returns))

    best.learn(made, np.array([0, 0]), played([[1, 2], [0, -1]], [0.25, 0.5]))
    best.learn(made, np.array([0]), played([[2, 2]], [0.375]))
    assert [moves.tolist() for moves in best.moves] == [[0], []]
    assert best.seconds(made[0]) == 0.5
    assert best.seconds(made[1]) == np.inf
    again = Best(made)
    again.restore(best.stored())
    assert again.returns.tolist() == best.returns.tolist()
    assert [moves.tolist() for moves in again.moves] == [[0], []]
    best.write(tmp_path)
    assert '"moves": "0"' in (tmp_path / "best.json").read_text()
