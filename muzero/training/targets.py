"""What the value of a position is taught to be."""

from __future__ import annotations

import numpy as np


def value_targets(rewards: np.ndarray, values: np.ndarray, lengths: np.ndarray, steps: int) -> np.ndarray:
    """Rewards of the next moves, and after them what a search said that is still to come.

    Args:
        rewards: float [S, B]; 0 from an episode's end on.
        values: float [S, B], of the searches at the positions; 0 from an episode's end on.
        lengths: int [B], moves of each episode.
        steps: moves whose rewards count, or 0 for all to the end (then ``values`` does not matter).

    Returns:
        float32 [S, B]; 0 from an episode's end on.
    """
    to_come = np.cumsum(rewards[::-1].astype(np.float64), axis=0)[::-1]
    targets = to_come.copy()
    if 0 < steps < len(rewards):
        targets[:-steps] += values[steps:] - to_come[steps:]
    past = np.arange(len(rewards))[:, None] >= lengths
    return np.where(past, 0.0, targets).astype(np.float32)
