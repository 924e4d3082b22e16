"""What a job plays, in groups that fit into one batch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np


@dataclass(frozen=True, eq=False)
class Puzzle:
    """A problem with what a job needs to know of it.

    Attributes:
        name: unique in a job.
        kind: what has to be equal in a batch: the size class.
        tables: pytree of arrays, of shapes that the kind decides.
        sites: moves of an episode, forced ones included.
        hbm_seconds: under M with everything in HBM.
        scale: seconds that a return of 1 saves.
        greedy_seconds: under M of the greedy solver's plan; None where nobody asks.
        best_seconds: under M of the best plan that other solvers found; None where nobody asks.
    """

    name: str
    kind: Hashable
    tables: Any
    sites: int
    hbm_seconds: float
    scale: float
    greedy_seconds: float | None = None
    best_seconds: float | None = None

    def seconds(self, returned: float) -> float:
        """Seconds under M after an episode of this return."""
        return self.hbm_seconds - returned * self.scale


def groups(puzzles: Sequence[Puzzle]) -> list[tuple[int, ...]]:
    """Indices of puzzles of one kind and about the same length: whoever is done waits for the others of its batch."""
    found: dict[Hashable, list[int]] = {}
    for number, puzzle in enumerate(puzzles):
        found.setdefault((puzzle.kind, puzzle.sites.bit_length()), []).append(number)
    return [tuple(group) for group in found.values()]


def draw(rng: np.random.Generator, choices: Sequence[Sequence[int]], lanes: int) -> np.ndarray:
    """Puzzles for a batch, int64 [lanes]: a group by how many it has, then each of it about as often."""
    sizes = np.array([len(group) for group in choices])
    group = choices[int(rng.choice(len(choices), p=sizes / sizes.sum()))]
    rounds = -(-lanes // len(group))
    return np.concatenate([rng.permutation(group) for _ in range(rounds)])[:lanes]


def stacked(puzzles: Sequence[Puzzle], numbers: np.ndarray) -> Any:
    """The tables of a batch, each array with an axis for the lanes in front."""
    return jax.tree.map(lambda *arrays: np.stack(arrays), *(puzzles[number].tables for number in numbers))
