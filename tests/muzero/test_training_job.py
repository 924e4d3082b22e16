"""The whole job on a game whose optimum is known: it learns, and resumes to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import silent
from muzero.training import checkpoint
from muzero.training.config import (
    EvaluationConfig,
    ImitationConfig,
    LearnerConfig,
    ReplayConfig,
    SearchConfig,
    SelfPlayConfig,
    TrainConfig,
)
from muzero.training.demonstrations import Demonstration
from muzero.training.job import Job, Setting
from muzero.training.learner import NotFiniteError, check_finite
from muzero.training.losses import Losses
from muzero.training.metrics import read_metrics
from tests.muzero.line_game import LINE_GAME, SMALL, best_moves, optimum, puzzles, replayed

CONFIG = TrainConfig(
    iterations=8,
    checkpoint_every=3,
    search=SearchConfig(variant="exact-rules", simulations=8),
    self_play=SelfPlayConfig(lanes=16, moves=8),
    replay=ReplayConfig(positions=500),
    learner=LearnerConfig(batch=32, updates=8, unroll=1, warm_up=10, target_updates=16),
    evaluation=EvaluationConfig(every=4),
)
PUZZLES = puzzles(6)
SHOWN = [
    Demonstration(number, moves, moves, 0.0)
    for number, moves in (
        (number, np.array(best_moves(puzzle.tables), np.int8)) for number, puzzle in enumerate(PUZZLES)
    )
]
IMITATING = replace(
    CONFIG,
    iterations=6,
    checkpoint_every=2,
    imitation=ImitationConfig(share=0.5, iterations=3, steps=1),
    learner=replace(CONFIG.learner, learning_rate=2e-2, updates=16),
)


def setting(folder: Path, progress: Callable[[str], None] = silent, version: int = 1) -> Setting:
    return Setting(LINE_GAME, SMALL, version, PUZZLES, PUZZLES, folder, progress, lambda _: None)


def curve(folder: Path) -> list[dict[str, Any]]:
    """All that does not depend on the clock."""
    return [
        {name: value for name, value in row.items() if not name.startswith("time/")} for row in read_metrics(folder)
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job that was not disturbed."""
    job = Job(CONFIG, setting(tmp_path_factory.mktemp("whole")))
    job.run()
    return job


def test_it_learns_to_play(whole: Job) -> None:
    rows = read_metrics(whole.setting.folder)
    assert [row["iteration"] for row in rows] == list(range(CONFIG.iterations + 1))
    assert rows[0]["evaluation/greedy/score"] == pytest.approx(0.5)
    assert rows[-1]["evaluation/search/score"] > 0.8
    assert rows[-1]["evaluation/best/score"] > 0.95
    assert rows[0]["evaluation/policy/score"] < rows[-1]["evaluation/search/score"]
    assert rows[-2]["loss/value"] < rows[0]["loss/value"]
    assert all(
        returned <= optimum(puzzle.tables) + 1e-6 for puzzle, returned in zip(PUZZLES, whole.best.returns, strict=True)
    )


def test_the_best_moves_give_the_best_return(whole: Job) -> None:
    for puzzle, moves, returned in zip(PUZZLES, whole.best.moves, whole.best.returns, strict=True):
        assert replayed(puzzle.tables, moves.tolist()) == pytest.approx(float(returned), abs=1e-6)


@pytest.mark.parametrize("stop", [0, 2, 4, 5])
def test_a_killed_job_goes_on_to_the_same_bits(whole: Job, tmp_path: Path, stop: int) -> None:
    def killed(line: str) -> None:
        if line.startswith(f"iteration {stop},"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Job(CONFIG, setting(tmp_path, killed)).run()
    found = checkpoint.newest(tmp_path, silent)
    assert (found is None) == (stop < CONFIG.checkpoint_every)
    job = Job(CONFIG, setting(tmp_path))
    if found is not None:
        job.restore(*found)
        assert job.iteration == CONFIG.checkpoint_every
    job.run()
    assert curve(tmp_path) == curve(whole.setting.folder)
    for ours, theirs in zip(jax.tree.leaves(job.learner), jax.tree.leaves(whole.learner), strict=True):
        assert np.array_equal(ours, theirs)
    last, other = (files[0] for files in map(checkpoint.files_in, (tmp_path, whole.setting.folder)))
    ours_kept, theirs_kept = checkpoint.read(last).arrays, checkpoint.read(other).arrays
    assert {name: array.tobytes() for name, array in ours_kept.items()} == {
        name: array.tobytes() for name, array in theirs_kept.items()
    }


def test_a_checkpoint_of_something_else_is_refused(whole: Job, tmp_path: Path) -> None:
    path = checkpoint.files_in(whole.setting.folder)[0]
    kept = checkpoint.read(path)
    with pytest.raises(BadInputError, match="of version 1 of the environment; this one is 2"):
        Job(CONFIG, setting(tmp_path, version=2)).restore(path, kept)
    with pytest.raises(BadInputError, match="of a job with other options; new: seed = 5"):
        Job(replace(CONFIG, seed=5), setting(tmp_path)).restore(path, kept)
    with pytest.raises(BadInputError, match="of other training problems"):
        Job(CONFIG, replace(setting(tmp_path), train=PUZZLES[:3])).restore(path, kept)
    Job(replace(CONFIG, iterations=100), setting(tmp_path)).restore(path, kept)


def test_demonstrations_are_learned_and_resumed(tmp_path: Path) -> None:
    """Nothing is played in the first 3 iterations, and yet the best of all is known; a kill after 4 changes nothing."""
    for puzzle, shown in zip(PUZZLES, SHOWN, strict=True):
        assert replayed(puzzle.tables, shown.moves.tolist()) == pytest.approx(optimum(puzzle.tables), abs=1e-6)

    def job(name: str) -> Job:
        shown = replace(setting(tmp_path / name), demonstrations=SHOWN, held_out=SHOWN)
        shown.folder.mkdir(exist_ok=True)
        return Job(IMITATING, shown)

    whole = job("whole")
    whole.run()
    rows = read_metrics(tmp_path / "whole")
    assert ["play/return" in row for row in rows] == [False] * 3 + [True] * 3 + [False]
    assert rows[0]["evaluation/best/score"] == pytest.approx(1.0, abs=1e-5)
    assert rows[-1]["held_out/accuracy"] > rows[0]["held_out/accuracy"]
    assert rows[-1]["held_out/surprise"] < 0.8 < rows[0]["held_out/surprise"] == pytest.approx(np.log(3), abs=1e-5)
    killed = job("killed")
    for path in files_of(tmp_path / "whole", 4):
        killed.restore(path, checkpoint.read(path))
    assert killed.iteration == 4
    killed.run()
    for ours, theirs in zip(jax.tree.leaves(killed.learner), jax.tree.leaves(whole.learner), strict=True):
        assert np.array_equal(ours, theirs)


def test_the_learned_model_learns_the_game(tmp_path: Path) -> None:
    """With trees on the true rules search plays well before anything is learned; here values and rewards come first."""
    config = replace(
        CONFIG,
        iterations=40,
        search=SearchConfig(variant="learned-model", simulations=8, max_depth=4, hottest=100.0),
        replay=ReplayConfig(positions=2000),
        learner=LearnerConfig(batch=32, updates=32, unroll=4, learning_rate=5e-3, warm_up=10, target_updates=32),
        evaluation=EvaluationConfig(every=40),
    )
    Job(config, setting(tmp_path)).run()
    rows = read_metrics(tmp_path)
    assert rows[0]["evaluation/search/score"] < 0.2
    assert rows[-1]["evaluation/search/score"] > 0.75
    assert rows[-1]["evaluation/policy/score"] > 0.6


def files_of(folder: Path, iteration: int) -> list[Path]:
    return [path for path in checkpoint.files_in(folder) if path == checkpoint.file_of(folder, iteration)]


def test_without_search_the_best_episodes_teach(tmp_path: Path) -> None:
    config = replace(
        CONFIG,
        iterations=12,
        search=SearchConfig(variant="policy-alone", temperature=0.5, hottest=4.0),
        imitation=ImitationConfig(share=0.5),
        learner=replace(CONFIG.learner, learning_rate=2e-2, updates=16),
        evaluation=EvaluationConfig(every=12),
    )
    Job(config, setting(tmp_path)).run()
    rows = read_metrics(tmp_path)
    assert rows[-1]["evaluation/policy/score"] > rows[0]["evaluation/policy/score"] + 0.2
    with pytest.raises(BadInputError, match=r"policy-alone, whose own choices teach it no moves: set imitation\.share"):
        Job(replace(config, imitation=ImitationConfig()), setting(tmp_path))


@pytest.mark.parametrize("name", ["iteration", "seconds", "best/returns", "moves"])
def test_a_checkpoint_with_a_part_that_is_missing_or_wrong_is_refused(whole: Job, tmp_path: Path, name: str) -> None:
    path = checkpoint.files_in(whole.setting.folder)[0]
    kept = checkpoint.read(path)
    header = {key: -1 if key == name else value for key, value in kept.header.items()}
    arrays = {key: value for key, value in kept.arrays.items() if not key.endswith(name)}
    assert (header, len(arrays)) != (kept.header, len(kept.arrays))
    with pytest.raises(BadInputError, match=f"{path.name}: ({name}|damaged games)"):
        Job(CONFIG, setting(tmp_path)).restore(path, checkpoint.Checkpoint(header, arrays))


def test_a_loss_that_is_not_finite_is_named() -> None:
    fine = Losses(*(np.float32(1) for _ in range(4)), errors=np.zeros(1))
    check_finite(CONFIG.learner, 3, [fine])
    with pytest.raises(NotFiniteError, match=r"the value loss is nan at update 4, learning rate 0\.00045"):
        check_finite(CONFIG.learner, 3, [fine, fine._replace(value=np.float32(np.nan), total=np.float32(np.nan))])


def test_nothing_to_train_on_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no problem to train on"):
        Job(CONFIG, replace(setting(tmp_path), train=[]))
