"""The exact search of one partition, begun again and again in other orders until one of them ends."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import numpy as np
import numpy.typing as npt

from mallocgame.packing import exact_search
from mallocgame.packing.buffer import Buffer
from mallocgame.packing.state import live_together, make_state

FIRST_LIMIT = 1000
GROWTH = 1.5
ROUND = 12
"""Nodes of the first restarts; each round of so many restarts, the limit grows by so much."""

_STRATEGIES = (exact_search.FEWEST, exact_search.FEWEST, exact_search.FEWEST, exact_search.LOWEST)
_NOISES = (0.0, 0.05, 0.2)
_TABLE_SIZE = 1 << 18

Floats = npt.NDArray[np.float64]


class Restarts:
    """Restarts of one partition within one capacity.

    Each takes a strategy and an order of preference at random and has a limit of nodes, which grows. What was proven to
    fail is kept from one to the next. An order is one of `orders` with a little noise.

    Attributes:
        nodes: states searched so far.
        offsets: the answer, bytes, once `attempt` has returned ``exact_search.FOUND``.
    """

    def __init__(self, buffers: Sequence[Buffer], capacity: int, seed: Sequence[int]) -> None:
        self.nodes = 0
        self.offsets: list[int] = []
        self._capacity = capacity
        self._random = np.random.default_rng(seed)
        state = make_state(buffers)
        self._rows = state.buffers
        self._state = state.arrays
        self._orders = orders(buffers)
        self._table = np.zeros(_TABLE_SIZE, np.uint64)
        self._count = 0

    def attempt(self, pool: ThreadPoolExecutor, deadline: float) -> int:
        """One restart: ``exact_search.FOUND``, ``EXHAUSTED`` (there is no solution) or ``STOPPED`` (not known).

        Args:
            pool: its thread runs the search, so that the time limit and Ctrl-C end it at once.
            deadline: as `time.monotonic` counts.
        """
        counters = np.zeros(exact_search.COUNTERS, np.int64)
        counters[exact_search.LIMIT] = int(FIRST_LIMIT * GROWTH ** (self._count // ROUND))
        strategy = int(self._random.choice(_STRATEGIES))
        order = self._orders[self._random.integers(len(self._orders))]
        noise = self._random.choice(_NOISES) * self._random.random(len(order))
        self._rows["priority"][:-1] = order + noise
        self._count += 1
        exact_search.clear(self._state, counters)
        running = pool.submit(exact_search.search, self._state, self._table, counters, self._capacity, strategy)
        try:
            outcome = running.result(timeout=max(0.0, deadline - monotonic()))
        except TimeoutError:
            outcome = exact_search.STOPPED
        finally:
            counters[exact_search.STOP] = 1
            running.exception()
        self.nodes += int(counters[exact_search.NODES])
        if outcome == exact_search.FOUND:
            self.offsets = self._rows["head"][:-1].tolist()
        return int(outcome)


def orders(buffers: Sequence[Buffer]) -> list[Floats]:
    """Orders of preference, ``[n]`` each, in [0, 1): larger goes first. If there are hints, theirs is the first."""
    columns = live_together(buffers)
    size = np.array([buffer.size for buffer in buffers], np.float64)
    width = np.array([sum(high - low for low, high in buffer.live()) for buffer in buffers], np.float64)
    loads = size @ columns
    crowd = (columns * loads).max(1)
    area = size * width
    found = [
        _ranks(area),
        _ranks(width),
        _ranks(size),
        _ranks(columns @ loads),
        _ranks(width, crowd),
        _ranks(area, crowd),
        _ranks(_ranks(width) + _ranks(size)),
    ]
    if any(buffer.hint is not None for buffer in buffers):
        found.insert(0, _ranks(np.array([-np.inf if b.hint is None else -b.hint for b in buffers], np.float64)))
    return found


def _ranks(*keys: Floats) -> Floats:
    """Places in the order by the last key, then the one before it, scaled to [0, 1)."""
    count = len(keys[0])
    ranks = np.empty(count)
    ranks[np.lexsort(keys)] = np.arange(count) / count
    return ranks
