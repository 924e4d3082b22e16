"""Self-play on Ray, with a Ray that runs everything at once here: who plays what, and that it is what the job asks."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest

from mallocgame.system.errors import BadInputError
from muzero.training import ray_selfplay
from muzero.training.config import SelfPlayConfig, TrainConfig
from muzero.training.job import Task

CONFIG = TrainConfig(self_play=SelfPlayConfig(lanes=2, ray_workers=2))


class FakeWorker:
    """Says what it was asked for."""

    made = 0

    def __init__(self, config: TrainConfig) -> None:
        assert config == CONFIG
        self.number = FakeWorker.made
        FakeWorker.made += 1

    def play(self, params: Any, problems: np.ndarray, key: np.ndarray, heat: np.ndarray) -> Any:
        return self.number, params, problems.tolist(), jax.random.wrap_key_data(key), heat.tolist()


class _Handle:
    """An actor, or a method of one, called by ``remote``."""

    def __init__(self, target: Any) -> None:
        self.remote = lambda *arguments: self._wrapped(target(*arguments))

    @staticmethod
    def _wrapped(made: Any) -> Any:
        if isinstance(made, FakeWorker):
            actor = ModuleType("actor")
            actor.play = _Handle(made.play)  # type: ignore[attr-defined]
            return actor
        return made


def fake_ray() -> ModuleType:
    """What of Ray is used."""
    ray = ModuleType("ray")
    vars(ray).update(
        is_initialized=lambda: True, remote=_Handle, put=lambda value: value, get=lambda reference: reference
    )
    return ray


def test_generations_go_round_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", fake_ray())
    monkeypatch.setattr(ray_selfplay, "Worker", FakeWorker)
    tasks = [Task(np.array([number, number + 1]), jax.random.key(number)) for number in range(3)]
    found: Any = list(ray_selfplay.RaySelfPlay(CONFIG)({"w": np.ones(2)}, tasks, np.array([1.0, 2.0])))
    assert [(row[0], row[2], row[4]) for row in found] == [
        (0, [0, 1], [1, 2]),
        (1, [1, 2], [1, 2]),
        (0, [2, 3], [1, 2]),
    ]
    assert all(row[3] == task.key for row, task in zip(found, tasks, strict=True))
    assert found[0][1]["w"].tolist() == [1, 1]


def test_without_ray_it_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadInputError, match="ray_workers needs Ray: pip install ray, or set it to 0"):
        ray_selfplay.RaySelfPlay(CONFIG)
