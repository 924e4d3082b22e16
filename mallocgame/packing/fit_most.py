"""The most valuable buffers that fit, where not all do."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

import numpy as np

from mallocgame.packing.block import Block, blocks_of, by_buffer
from mallocgame.packing.buffer import Buffer
from mallocgame.packing.joint import check_jointly
from mallocgame.packing.native import calls
from mallocgame.packing.native.layout import Ints
from mallocgame.packing.orders import Floats, orders
from mallocgame.packing.pack import check_answer, check_time_limit
from mallocgame.packing.state import State, runs_of
from mallocgame.system.errors import BadInputError

ROUNDS = 2000
"""Changed orders that are tried at most."""

SWAPS = 8
"""Most pairs that change places at random in an order."""


def fit_most(
    buffers: Sequence[Buffer], values: Sequence[float], capacity: int, *, time_limit: float = 2.0, seed: int = 0
) -> tuple[int | None, ...]:
    """Offsets within a capacity for some of the buffers, so that little value is left out; no proof.

    First fit in several orders, then in changes of the best one: what it left out comes earlier (as "squeaky wheel"
    optimization does it: D. E. Joslin and D. P. Clements, JAIR 10, 1999), and a few others change places.

    Args:
        buffers: what to pack; every id once. Those with a fixed offset are never left out; those of a colocation are
            all left out or none.
        values: what is lost if a buffer is left out, one each, not negative.
        capacity: bytes.
        time_limit: seconds.
        seed: the same seed, buffers and values give the same answer, unless the time limit ends the search.

    Returns:
        Bytes, one a buffer in the order given; None for one that is left out.

    Raises:
        BadInputError: the buffers do not make a problem, the fixed ones alone do not fit, or a limit is out of range.
    """
    check_jointly(buffers, capacity)
    check_time_limit(time_limit)
    blocks = blocks_of(buffers)
    if any(block.fixed is not None and block.fixed + block.size > capacity for block in blocks):
        raise BadInputError("the buffers with fixed offsets alone do not fit")
    if not buffers:
        return ()
    deadline = monotonic() + time_limit
    search = _Orders(blocks, np.array([sum(values[k] for k in b.members) for b in blocks], np.float64), capacity, seed)
    for _ in range(ROUNDS):
        if search.lost == 0 or monotonic() >= deadline:
            break
        search.change()
    offsets = by_buffer(blocks, search.offsets())
    placed = [(buffer, at) for buffer, at in zip(buffers, offsets, strict=True) if at is not None]
    check_answer([buffer for buffer, _ in placed], [at for _, at in placed], capacity)
    return offsets


class _Orders:
    """The best order so far.

    Attributes:
        lost: the value that it leaves out.
    """

    def __init__(self, blocks: Sequence[Block], values: Floats, capacity: int, seed: int) -> None:
        runs = runs_of(blocks)
        self._state = State(blocks, runs)
        self._values, self._capacity = values, capacity
        self._free = np.array([block.fixed is None for block in blocks])
        self._random = np.random.default_rng(seed)
        self.lost = np.inf
        area = np.zeros(len(blocks))
        np.add.at(area, runs.owner, runs.size * (runs.high - runs.low))
        for preference in (values / np.maximum(area, 1.0), values, *orders(blocks, runs)):
            self._try(np.lexsort((-preference, self._free)))

    def change(self) -> None:
        """Try a change of the best order."""
        order = self._order.copy()
        places = np.empty(len(order))
        places[order] = np.arange(len(order))
        out = np.nonzero(self._heads < 0)[0]
        early = out[self._random.random(len(out)) < 0.5]
        places[early] *= self._random.random(len(early))
        for first, second in self._random.integers(len(order), size=(self._random.integers(SWAPS + 1), 2)):
            places[[first, second]] = places[[second, first]]
        self._try(np.lexsort((places, self._free)))

    def offsets(self) -> tuple[int | None, ...]:
        """Bytes, one a block; None for what is left out."""
        return tuple(None if head < 0 else head for head in self._heads.tolist())

    def _try(self, order: Ints) -> None:
        calls.first_fit(self._state.table, order.astype(np.uint32), self._capacity)
        placed = self._state.placed
        lost = float(self._values[~placed].sum())
        if lost <= self.lost:
            self.lost, self._order = lost, order
            self._heads: Ints = np.where(placed, self._state.heads, -1)
