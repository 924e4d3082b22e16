"""Episodes whose moves are taught as they are: demonstrations, and the best episode of each puzzle so far.

They stay for the whole job, unlike those of the replay. Where a better episode of a puzzle is played, it takes the
place of the puzzle's first one; what a network saw along them is made again from the moves, as in the replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from muzero.search import MOVES
from muzero.training.config import ReplayConfig
from muzero.training.replay import STORED, Generation, Replay

ALL_ALIKE = ReplayConfig(positions=2**31 - 1, priority_exponent=0.0, importance_exponent=0.0)
"""Nothing has to go, and all positions are drawn as often."""


class Imitation:
    """One generation of one lane for each episode.

    Attributes:
        episodes: what the learner draws from.
    """

    def __init__(self) -> None:
        self.episodes = Replay(ALL_ALIKE)
        self._places: dict[int, int] = {}

    @property
    def positions(self) -> int:
        """Decisions that can be drawn."""
        return self.episodes.positions

    def add(self, episode: Generation) -> None:
        """Take in an episode beside the others of its puzzle."""
        self._places.setdefault(int(episode.problems[0]), len(self.episodes.generations))
        self.episodes.add(episode)

    def replace(self, episode: Generation) -> None:
        """Take in an episode in place of the first one of its puzzle."""
        place = self._places.get(int(episode.problems[0]))
        if place is None:
            self.add(episode)
        else:
            episode.priorities = np.ones(episode.moves.shape)
            self.episodes.generations[place] = episode

    def stored(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps, by name: the episodes behind one another."""
        kept = self.episodes.generations
        if not kept:
            return {}
        return {f"imitation/{name}": np.concatenate([getattr(one, name) for one in kept]) for name in STORED}


def stored_episodes(arrays: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The arrays of each episode of a checkpoint, in order."""
    if "imitation/lengths" not in arrays:
        return []
    found = {name: arrays[f"imitation/{name}"] for name in STORED}
    ends = np.cumsum(found["lengths"])[:-1]
    count = len(found["lengths"])
    parts = {name: np.split(array, count if name in ("problems", "lengths") else ends) for name, array in found.items()}
    return [{name: part[number] for name, part in parts.items()} for number in range(count)]


def episode_of(generation: Generation, lane: int, taught: np.ndarray) -> Generation:
    """One lane of a generation, taught to be played so.

    Args:
        generation: with the lane.
        lane: its number.
        taught: int [S], a move for each decision of the lane.
    """
    length = int(generation.lengths[lane])

    def cut(array: Any) -> Any:
        return array[:length, lane : lane + 1].copy()

    return Generation(
        problems=generation.problems[lane : lane + 1],
        lengths=generation.lengths[lane : lane + 1],
        moves=cut(generation.moves),
        rewards=cut(generation.rewards),
        weights=np.eye(MOVES, dtype=np.float32)[taught[:length].astype(int)][:, None],
        values=cut(generation.values),
        priorities=np.ones((length, 1)),
        observations=jax.tree.map(cut, generation.observations),
    )
