"""Self-play on a Ray cluster, for those who outgrow a machine; Ray is imported only where it is asked for.

The job says which puzzles are played with which keys, so that its course does not depend on who is done first; an
iteration is over when all of its generations are there. Each worker makes the puzzles itself from the config.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import silent
from muzero.memory_game import memory_game
from muzero.networks import Params
from muzero.training.config import TrainConfig
from muzero.training.job import Task, search_options
from muzero.training.problems import network_of, training_puzzles
from muzero.training.puzzles import stacked
from muzero.training.self_play import AXIS, Played, Player, play


class Worker:
    """Plays in a process of its own, on the devices that it finds there."""

    def __init__(self, config: TrainConfig) -> None:
        self._puzzles, _ = training_puzzles(config, silent, demonstrate=False)
        environment = memory_game(shared=False)
        network = network_of(config, environment, self._puzzles[0])
        mesh = Mesh(np.array(jax.devices()), (AXIS,))
        self._player = Player(environment, network, search_options(config), mesh, config.self_play.moves)

    def play(self, params: Params, problems: np.ndarray, key: np.ndarray, heat: np.ndarray) -> Played:
        """One generation; ``key`` is the key's data."""
        tables = stacked(self._puzzles, problems)
        return play(self._player, params, tables, jax.random.wrap_key_data(jax.numpy.asarray(key)), heat)


class RaySelfPlay:
    """The workers of a cluster: the one that ``RAY_ADDRESS`` names, else one that is started here."""

    def __init__(self, config: TrainConfig) -> None:
        """Start the workers.

        Raises:
            BadInputError: Ray is not installed.
        """
        try:
            self._ray: Any = importlib.import_module("ray")
        except ModuleNotFoundError:
            raise BadInputError("ray_workers needs Ray: pip install ray, or set it to 0") from None
        if not self._ray.is_initialized():
            self._ray.init()
        worker = self._ray.remote(Worker)
        self._workers = [worker.remote(config) for _ in range(config.self_play.ray_workers)]

    def __call__(self, params: Params, tasks: Sequence[Task], heat: np.ndarray) -> Iterable[Played]:
        """See ``muzero.training.job.Elsewhere``."""
        shared = self._ray.put(jax.device_get(params))
        pending = [
            self._workers[number % len(self._workers)].play.remote(
                shared, task.problems, np.asarray(jax.random.key_data(task.key)), heat
            )
            for number, task in enumerate(tasks)
        ]
        return [self._ray.get(reference) for reference in pending]
