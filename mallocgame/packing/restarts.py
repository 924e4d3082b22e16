"""The exact search of one partition, begun again and again in other orders until one of them ends."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import numpy as np

from mallocgame.packing.block import Block
from mallocgame.packing.native import calls, layout
from mallocgame.packing.orders import orders
from mallocgame.packing.state import State, runs_of

FIRST_LIMIT = 1000
GROWTH = 1.5
ROUND = 12
"""Nodes of the first restarts; each round of so many restarts, the limit grows by so much."""

_STRATEGIES = (layout.FEWEST, layout.FEWEST, layout.FEWEST, layout.LOWEST)
_NOISES = (0.0, 0.05, 0.2)
_PRIORITIES = 1 << 40
"""Priorities are whole numbers in machine code: so many for an order's [0, 1)."""


class Restarts:
    """Restarts of one partition within one capacity.

    Each takes a strategy and an order of preference at random and has a limit of nodes, which grows. What was proven to
    fail is kept from one to the next. An order is one of `orders` with a little noise.

    Attributes:
        nodes: states searched so far.
        offsets: the answer, bytes, once `attempt` has returned ``layout.FOUND``.
    """

    def __init__(self, blocks: Sequence[Block], capacity: int, seed: Sequence[int]) -> None:
        self.nodes = 0
        self.offsets: list[int] = []
        self._capacity = capacity
        self._random = np.random.default_rng(seed)
        runs = runs_of(blocks)
        self._state = State(blocks, runs)
        self._orders = orders(blocks, runs)
        self._count = 0

    def attempt(self, pool: ThreadPoolExecutor, deadline: float) -> int:
        """One restart: ``layout.FOUND``, ``EXHAUSTED`` (there is no solution) or ``STOPPED`` (not known).

        Args:
            pool: its thread runs the search, so that the time limit and Ctrl-C end it at once.
            deadline: as `time.monotonic` counts.
        """
        counters = self._state.arrays.counters[0]
        counters[:] = 0
        counters[layout.LIMIT] = int(FIRST_LIMIT * GROWTH ** (self._count // ROUND))
        strategy = int(self._random.choice(_STRATEGIES))
        order = self._orders[self._random.integers(len(self._orders))]
        noise = self._random.choice(_NOISES) * self._random.random(len(order))
        self._state.arrays.blocks[layout.PRIORITY, :-1] = (order + noise) * _PRIORITIES
        self._count += 1
        running = pool.submit(calls.search, self._state.table, self._capacity, strategy)
        try:
            outcome = running.result(timeout=max(0.0, deadline - monotonic()))
        except TimeoutError:
            outcome = layout.STOPPED
        finally:
            counters[layout.STOP] = 1
            running.exception()
        self.nodes += int(counters[layout.NODES])
        if outcome == layout.FOUND:
            self.offsets = self._state.heads.tolist()
        return outcome
