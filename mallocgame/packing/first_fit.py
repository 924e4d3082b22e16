"""First fit: each block in turn at the lowest offset that is free; quick, and good where memory is not tight."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

import numpy as np

from mallocgame.packing.block import Block
from mallocgame.packing.buffer import LARGEST
from mallocgame.packing.native import calls
from mallocgame.packing.native.layout import Indices
from mallocgame.packing.orders import orders
from mallocgame.packing.state import State, partitions, runs_of

SHARE_SWAPPED = 0.05


class FirstFit:
    """First fit of a whole problem, its partitions one by one."""

    def __init__(self, blocks: Sequence[Block], seed: int) -> None:
        self._blocks = blocks
        self._groups = partitions(blocks)
        self._fits = [
            _PartitionFit([blocks[index] for index in group], (seed, number))
            for number, group in enumerate(self._groups)
        ]

    def improve(self, goal: int, rounds: int, deadline: float) -> None:
        """Try so many changed orders a partition; end early at the goal (bytes) or the deadline (`time.monotonic`)."""
        for fit in self._fits:
            fit.improve(goal, rounds, deadline)

    def offsets(self) -> tuple[int, ...]:
        """Bytes, one a block, of the lowest packing found so far."""
        placed = [block.fixed or 0 for block in self._blocks]
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

    def __init__(self, blocks: Sequence[Block], seed: Sequence[int]) -> None:
        runs = runs_of(blocks)
        self._state = State(blocks, runs)
        self._free = np.array([block.fixed is None for block in blocks])
        self._random = np.random.default_rng(seed)
        self.height = -1
        for preference in orders(blocks, runs):
            self._try(np.lexsort((-preference, self._free)).astype(np.uint32))

    def improve(self, goal: int, rounds: int, deadline: float) -> None:
        """As `FirstFit.improve`."""
        count = len(self._order)
        swaps = max(1, int(SHARE_SWAPPED * count))
        for _ in range(rounds):
            if self.height <= goal or monotonic() >= deadline:
                return
            order = self._order.copy()
            for first, second in self._random.integers(count, size=(int(self._random.integers(1, swaps + 1)), 2)):
                if self._free[order[first]] and self._free[order[second]]:
                    order[[first, second]] = order[[second, first]]
            self._try(order)

    def _try(self, order: Indices) -> None:
        height = calls.first_fit(self._state.table, order, LARGEST)
        if self.height < 0 or height <= self.height:
            self.height, self._order = height, order
            self.offsets: list[int] = self._state.heads.tolist()
