"""A training job on the memory game, from a config to a folder."""

from __future__ import annotations

from pathlib import Path

import jax

from mallocgame.system.checked_json import Scalar
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import locked, write_atomically
from mallocgame.system.progress import Progress
from muzero.agent_file import Agent, save_agent
from muzero.environment import ENVIRONMENT_VERSION
from muzero.memory_game import memory_game
from muzero.networks import NETWORKS
from muzero.training import checkpoint
from muzero.training.config import TrainConfig
from muzero.training.demonstrations import Demonstration
from muzero.training.job import Job, Setting
from muzero.training.learner import Learner
from muzero.training.problems import evaluated_puzzles, network_of, training_puzzles
from muzero.training.puzzles import Puzzle
from muzero.training.ray_selfplay import RaySelfPlay

CONFIG = "config.toml"
AGENT = "agent.mga"


def train(config: TrainConfig, folder: Path, *, resume: bool, progress: Progress) -> Job:
    """Train until the config says to stop; the folder has checkpoints, metrics, the best episodes, the agent.

    Args:
        config: of the job.
        folder: made if missing. Without ``resume`` it may have no checkpoints.
        resume: go on from the newest checkpoint that is whole; begin if there is none.
        progress: told one line an iteration.

    Raises:
        BadInputError: the folder cannot be used or another run uses it, the config does not fit, or every checkpoint is
            damaged.
        NotFiniteError: a loss is not finite.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{folder}: cannot be made: {error.strerror}") from None
    with locked(folder):
        return _train(config, folder, resume, progress)


def _train(config: TrainConfig, folder: Path, resume: bool, progress: Progress) -> Job:
    if config.network not in NETWORKS:
        raise BadInputError(f"unknown network {config.network!r}; known: {', '.join(NETWORKS)}")
    if not resume and checkpoint.files_in(folder):
        raise BadInputError(f"{folder} has checkpoints: go on with --resume, or give another folder")
    found = checkpoint.newest(folder, progress) if resume else None
    puzzles, shown = training_puzzles(config, progress, demonstrate=found is None)
    if not puzzles:
        raise BadInputError("there is no problem to train on: see [problems] of the config")
    job = Job(config, _setting(config, puzzles, shown, folder, progress))
    if found is not None:
        job.restore(*found)
        progress(f"going on after iteration {job.iteration} of {found[0]}")
    write_atomically(folder / CONFIG, config.to_toml().encode())
    job.run()
    return job


def _setting(
    config: TrainConfig, puzzles: list[Puzzle], demonstrations: list[Demonstration], folder: Path, progress: Progress
) -> Setting:
    environment = memory_game(shared=False)
    network = network_of(config, environment, puzzles[0])
    device = jax.devices()[0]

    def write_agent(learner: Learner) -> None:
        where = f"{device.platform} {device.device_kind}"
        notes: dict[str, Scalar] = {"updates": int(learner.updates), "device": where}
        params = jax.device_get(learner.params)
        save_agent(Agent(network, params, ENVIRONMENT_VERSION, notes), folder / AGENT)

    evaluated, held_out = evaluated_puzzles(config, progress)
    return Setting(
        environment,
        network,
        ENVIRONMENT_VERSION,
        puzzles,
        evaluated,
        folder,
        progress,
        write_agent,
        demonstrations=demonstrations,
        held_out=held_out,
        elsewhere=RaySelfPlay(config) if config.self_play.ray_workers else None,
    )
