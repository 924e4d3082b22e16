"""Orders of preference in which a search takes blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mallocgame.packing.block import Block
from mallocgame.packing.state import Runs

Floats = npt.NDArray[np.float64]


def orders(blocks: Sequence[Block], runs: Runs) -> list[Floats]:
    """Orders of preference, ``[n]`` each, in [0, 1): larger goes first. If there are hints, theirs is the first."""
    size, width, crowd, crowded = np.zeros((4, runs.count))
    np.maximum.at(size, runs.owner, runs.size)
    np.add.at(width, runs.owner, runs.high - runs.low)
    sums = np.concatenate([[0], np.cumsum(runs.loads)])
    np.add.at(crowded, runs.owner, sums[runs.end] - sums[runs.first])
    highest = [np.max(runs.loads[first:end]) for first, end in zip(runs.first, runs.end, strict=True)]
    np.maximum.at(crowd, runs.owner, highest)
    area = size * width
    found = [
        _ranks(area),
        _ranks(width),
        _ranks(size),
        _ranks(crowded),
        _ranks(width, crowd),
        _ranks(area, crowd),
        _ranks(_ranks(width) + _ranks(size)),
    ]
    if any(block.hint is not None for block in blocks):
        found.insert(0, _ranks(np.array([-np.inf if b.hint is None else -b.hint for b in blocks], np.float64)))
    return found


def _ranks(*keys: Floats) -> Floats:
    """Places in the order by the last key, then the one before it, scaled to [0, 1)."""
    count = len(keys[0])
    ranks = np.empty(count)
    ranks[np.lexsort(keys)] = np.arange(count) / count
    return ranks
