"""The positions that the learner draws from, by priority; the oldest batch of episodes goes first.

Episodes come and go in *generations*, the batches in which self-play made them. A generation is made again from its
moves (``self_play.trace``), so that a checkpoint needs no observations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from muzero.training.config import ReplayConfig
from muzero.training.targets import value_targets

MIN_PRIORITY = 1e-3
"""Added to the error of a value, which may be 0: every position can be drawn."""


@dataclass
class Generation:
    """B episodes of at most S decisions; forced moves are no decisions.

    Attributes:
        problems: int32 [B], indices into the job's problems.
        lengths: int32 [B], decisions of each episode.
        moves: int8 [S, B], the decisions; -1 after the end.
        rewards: float32 [S, B], share of what the problem has to give, of a decision and the forced moves after it.
        weights: float32 [S, B, 3], the search's improved policy.
        values: float32 [S, B], what the search said is still to come.
        priorities: float64 [S, B]; 0 after the end.
        observations: pytree of float16 [S, B, ...].
    """

    problems: np.ndarray
    lengths: np.ndarray
    moves: np.ndarray
    rewards: np.ndarray
    weights: np.ndarray
    values: np.ndarray
    priorities: np.ndarray
    observations: Any

    @property
    def positions(self) -> int:
        """Decisions of all episodes."""
        return int(self.lengths.sum())


Array = Any
"""numpy.ndarray outside a compiled function, jax.Array inside."""

STORED = ("problems", "lengths", "moves", "rewards", "weights", "values", "priorities")
"""The arrays of a generation that a checkpoint keeps."""


class Batch(NamedTuple):
    """N positions and the K decisions after each; past an episode's end all is 0.

    Attributes:
        observations: pytree of float16 [N, ...].
        moves: int32 [N, K].
        weights: float32 [N, K + 1, 3], targets of the policy.
        values: float32 [N, K + 1], targets of the value.
        rewards: float32 [N, K], targets of the reward.
        inside: float32 [N, K + 1], 1 where the position is one of the episode, else 0.
        importance: float32 [N], weights of the loss, the largest 1.
    """

    observations: Any
    moves: Array
    weights: Array
    values: Array
    rewards: Array
    inside: Array
    importance: Array


class Replay:
    """Generations within ``config.positions``, the newest always among them."""

    def __init__(self, config: ReplayConfig) -> None:
        self.config = config
        self.generations: deque[Generation] = deque()

    @property
    def positions(self) -> int:
        """Decisions that can be drawn."""
        return sum(generation.positions for generation in self.generations)

    def add(self, generation: Generation) -> None:
        """Take in a generation, as urgent as the most urgent position, and let the oldest go."""
        highest = max((float(kept.priorities.max(initial=0.0)) for kept in self.generations), default=0.0) or 1.0
        generation.priorities = np.where(self._inside(generation), highest, 0.0)
        self.generations.append(generation)
        while len(self.generations) > 1 and self.positions > self.config.positions:
            self.generations.popleft()

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """``count`` positions by priority, with replacement: int64 [count, 3] of generation, decision and episode."""
        flat = np.concatenate([generation.priorities.ravel() for generation in self.generations])
        cumulative = np.cumsum(flat**self.config.priority_exponent * (flat > 0))
        draws = np.minimum(rng.random(count) * cumulative[-1], np.nextafter(cumulative[-1], 0.0))
        found = np.searchsorted(cumulative, draws, side="right")
        starts = np.cumsum([0, *(generation.priorities.size for generation in self.generations)])
        number = np.searchsorted(starts, found, side="right") - 1
        width = np.array([generation.priorities.shape[1] for generation in self.generations])[number]
        inner = found - starts[number]
        return np.stack([number, inner // width, inner % width], axis=1)

    def targets(self, value_steps: int) -> list[np.ndarray]:
        """Value targets of each generation, float32 [S, B]; see ``value_targets``."""
        return [value_targets(kept.rewards, kept.values, kept.lengths, value_steps) for kept in self.generations]

    def batch(self, drawn: np.ndarray, unroll: int, targets: list[np.ndarray]) -> Batch:
        """The drawn positions with what follows them; ``targets`` as of ``Replay.targets``."""
        parts = []
        for number in np.unique(drawn[:, 0]).tolist():
            chosen = np.flatnonzero(drawn[:, 0] == number)
            parts.append((chosen, _cut(self.generations[number], targets[number], drawn[chosen, 1:], unroll)))
        order = np.argsort(np.concatenate([chosen for chosen, _ in parts]))
        joined = jax.tree.map(lambda *arrays: np.concatenate(arrays)[order], *(part for _, part in parts))
        priorities = np.array([self.generations[g].priorities[s, b] for g, s, b in drawn])
        importance = priorities ** (-self.config.priority_exponent * self.config.importance_exponent)
        return joined._replace(importance=(importance / np.max(importance)).astype(np.float32))  # type: ignore[no-any-return]

    def update(self, drawn: np.ndarray, errors: np.ndarray) -> None:
        """Set priorities after the errors of the values, float [N]; of a position drawn twice the last counts."""
        for (number, step, episode), error in zip(drawn, errors, strict=True):
            self.generations[number].priorities[step, episode] = abs(float(error)) + MIN_PRIORITY

    @staticmethod
    def _inside(generation: Generation) -> np.ndarray:
        return np.arange(len(generation.moves))[:, None] < generation.lengths

    def stored(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps, by name."""
        return {
            f"replay/{number:06d}/{name}": getattr(generation, name)
            for number, generation in enumerate(self.generations)
            for name in STORED
        }


def joined(batches: Sequence[Batch]) -> Batch:
    """The positions of several batches in one."""
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *batches)  # type: ignore[no-any-return]


def stored_generations(arrays: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The arrays of each generation of a checkpoint, oldest first."""
    numbers = sorted({name.split("/")[1] for name in arrays if name.startswith("replay/")})
    return [{name: arrays[f"replay/{number}/{name}"] for name in STORED} for number in numbers]


def _cut(generation: Generation, targets: np.ndarray, at: np.ndarray, unroll: int) -> Batch:
    """The positions (decision, episode) of one generation, with what follows each."""
    step, episode = at[:, 0], at[:, 1]
    ahead = step[:, None] + np.arange(unroll + 1)
    inside = ahead < generation.lengths[episode][:, None]
    places = np.minimum(ahead, len(generation.moves) - 1), episode[:, None]

    def taken(array: np.ndarray) -> np.ndarray:
        found = array[places]
        return np.where(inside.reshape(inside.shape + (1,) * (found.ndim - 2)), found, np.zeros((), found.dtype))

    return Batch(
        observations=jax.tree.map(lambda array: array[step, episode], generation.observations),
        moves=taken(generation.moves)[:, :unroll].astype(np.int32),
        weights=taken(generation.weights),
        values=taken(targets),
        rewards=taken(generation.rewards)[:, :unroll],
        inside=inside.astype(np.float32),
        importance=np.ones(len(at), np.float32),
    )
