"""First fit: each buffer in turn at the lowest offset that is free; quick, and good where memory is not tight."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

import numpy as np

from mallocgame.packing import exact_search
from mallocgame.packing.buffer import LARGEST, Buffer
from mallocgame.packing.restarts import orders
from mallocgame.packing.state import make_state, partitions

SHARE_SWAPPED = 0.05


class FirstFit:
    """First fit of a whole problem, its partitions one by one."""

    def __init__(self, buffers: Sequence[Buffer], seed: int) -> None:
        self._buffers = buffers
        self._groups = partitions(buffers)
        self._fits = [
            _PartitionFit([buffers[index] for index in group], (seed, number))
            for number, group in enumerate(self._groups)
        ]

    def improve(self, goal: int, rounds: int, deadline: float) -> None:
        """Try so many changed orders a partition; end early at the goal (bytes) or the deadline (`time.monotonic`)."""
        for fit in self._fits:
            fit.improve(goal, rounds, deadline)

    def offsets(self) -> tuple[int, ...]:
        """Bytes, one a buffer, of the lowest packing found so far."""
        placed = [0 if buffer.offset is None else buffer.offset for buffer in self._buffers]
        for group, fit in zip(self._groups, self._fits, strict=True):
            for index, offset in zip(group, fit.offsets, strict=True):
                placed[index] = offset
        return tuple(placed)


class _PartitionFit:
    """First fit in the orders of the exact search, and then in random changes of the best one.

    Attributes:
        offsets: bytes, of the lowest packing found so far.
        height: its largest offset + size, bytes.
    """

    def __init__(self, buffers: Sequence[Buffer], seed: Sequence[int]) -> None:
        state = make_state(buffers)
        self._rows = state.buffers
        self._state = state.arrays
        self._fixed = np.array([buffer.offset is None for buffer in buffers])
        self._random = np.random.default_rng(seed)
        self.height = -1
        for preference in orders(buffers):
            self._try(np.lexsort((-preference, self._fixed)))

    def improve(self, goal: int, rounds: int, deadline: float) -> None:
        """As `FirstFit.improve`."""
        count = len(self._order)
        swaps = max(1, int(SHARE_SWAPPED * count))
        for _ in range(rounds):
            if self.height <= goal or monotonic() >= deadline:
                return
            order = self._order.copy()
            for first, second in self._random.integers(count, size=(int(self._random.integers(1, swaps + 1)), 2)):
                if self._fixed[order[first]] and self._fixed[order[second]]:
                    order[[first, second]] = order[[second, first]]
            self._try(order)

    def _try(self, order: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
        height = exact_search.first_fit(self._state, order, LARGEST)
        if self.height < 0 or height <= self.height:
            self.height, self._order = int(height), order
            self.offsets: list[int] = self._rows["head"][:-1].tolist()
