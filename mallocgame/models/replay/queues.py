"""Asynchronous copies in flight: one queue a direction, first in first out, sharing the HBM bandwidth."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from mallocgame.plan.plan import CopyKind


class Queues:
    """The copies in flight in one run of a computation.

    A copy's demand and all times are in seconds of the whole HBM bandwidth. While both queues have a copy, each one's
    first copy gets half of the bandwidth (OpenXLA simulator.cc, without its halving in each further round).
    """

    def __init__(self) -> None:
        self._queues: dict[CopyKind, deque[tuple[Hashable, float]]] = {"prefetch": deque(), "eviction": deque()}
        self._kind_of: dict[Hashable, CopyKind] = {}
        self.clock = 0.0
        """Seconds of the bandwidth that were there for copies so far, whether one needed them or not."""
        self.begun: dict[Hashable, float] = {}
        """For each copy that has been first in its queue, the clock when it became so."""
        self.arrived: dict[Hashable, float] = {}
        """For each copy that has arrived, the clock then."""

    def start(self, key: Hashable, kind: CopyKind, demand: float) -> None:
        """Queue the copy ``key``, which needs ``demand`` seconds."""
        if not self._queues[kind]:
            self.begun[key] = self.clock
        self._queues[kind].append((key, demand))
        self._kind_of[key] = kind

    def drain(self, idle: float) -> float:
        """Copy for at most ``idle`` seconds.

        Returns:
            The part of ``idle`` that no copy needed.
        """
        end = self.clock + idle
        while idle > 0.0 and self._kind_of:
            idle = self._advance(idle)
        self.clock = end
        return idle

    def wait(self, key: Hashable) -> float:
        """Copy until ``key`` has arrived.

        Returns:
            The seconds that takes: 0 if it has arrived already.
        """
        waited = 0.0
        while key in self._kind_of:
            waited += self._round()
            self._advance(self._round())
        return waited

    def wait_all(self) -> float:
        """Copy until both queues are empty; returns the seconds that takes."""
        waited = 0.0
        while self._kind_of:
            waited += self._round()
            self._advance(self._round())
        return waited

    def _busy(self) -> list[deque[tuple[Hashable, float]]]:
        return [queue for queue in self._queues.values() if queue]

    def _round(self) -> float:
        """Seconds until the first of the heads has arrived."""
        busy = self._busy()
        return min(queue[0][1] for queue in busy) * len(busy)

    def _advance(self, limit: float) -> float:
        """Copy until a head has arrived or for ``limit`` seconds; returns what is left of the limit."""
        busy = self._busy()
        demand = min(queue[0][1] for queue in busy)
        arrived = demand * len(busy) <= limit
        done = demand if arrived else limit / len(busy)
        self.clock += done * len(busy)
        for queue in busy:
            key, left = queue[0]
            if arrived and left <= done:
                queue.popleft()
                del self._kind_of[key]
                self.arrived[key] = self.clock
                if queue:
                    self.begun[queue[0][0]] = self.clock
            else:
                queue[0] = (key, left - done)
        return limit - done * len(busy) if arrived else 0.0
