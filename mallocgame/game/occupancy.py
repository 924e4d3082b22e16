"""Which bytes of fast memory are taken at which times, and best fit among what is free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mallocgame.plan.plan import Stay
from mallocgame.problem.schema import Reservation

RESERVED = -1
"""Owner of what instructions reserve for themselves; alias groups have numbers from 0."""

_START, _END, _LOW, _HIGH, _OWNER = range(5)


class Occupancy:
    """Stays in fast memory. Stays of one owner (an alias group) may overlap one another, all others may not.

    Args:
        capacity: bytes of fast memory.
        alignment: offsets are multiples of it, in bytes.
        reserved: what is taken from the start on, and never given back; within the capacity.
    """

    def __init__(self, capacity: int, alignment: int, reserved: Sequence[Reservation] = ()) -> None:
        self.capacity = capacity
        self.alignment = alignment
        self._rows: NDArray[np.int64] = np.zeros((5, 64), np.int64)
        self._row_of: dict[Stay, int] = {}
        self._stay_at: list[Stay] = []
        for one in reserved:
            self.add(Stay(RESERVED, one.start, one.end, one.offset), one.size, RESERVED)

    def copy(self) -> Self:
        """An independent copy."""
        new = object.__new__(type(self))
        new.capacity, new.alignment = self.capacity, self.alignment
        new._rows = self._rows.copy()
        new._row_of = self._row_of.copy()
        new._stay_at = self._stay_at.copy()
        return new

    def add(self, stay: Stay, size: int, owner: int) -> None:
        """Take ``size`` bytes from ``stay.offset`` for the whole stay; the caller has made sure that they are free."""
        row = len(self._stay_at)
        if row == self._rows.shape[1]:
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)], axis=1)
        self._rows[:, row] = (stay.start, stay.end, stay.offset, stay.offset + size, owner)
        self._row_of[stay] = row
        self._stay_at.append(stay)

    def remove(self, stay: Stay) -> None:
        """Give the bytes of a stay back."""
        row = self._row_of.pop(stay)
        last = self._stay_at.pop()
        if last != stay:
            self._rows[:, row] = self._rows[:, len(self._stay_at)]
            self._stay_at[row] = last
            self._row_of[last] = row

    def owners(self, intervals: Sequence[tuple[int, int]], low: int, high: int, owner: int) -> list[int]:
        """Other owners with bytes in [low, high) at a time of one of the closed ``intervals``, ascending."""
        rows = self._others(intervals, owner)
        hit = (rows[_LOW] < high) & (rows[_HIGH] > low)
        return sorted(set(rows[_OWNER, hit].tolist()))

    def tops(self, intervals: Sequence[tuple[int, int]], owner: int) -> list[int]:
        """0 and the aligned upper ends of what other owners hold in the intervals, ascending."""
        highs: set[int] = set(self._others(intervals, owner)[_HIGH].tolist())
        return sorted({0} | {-(-high // self.alignment) * self.alignment for high in highs})

    def is_free(self, interval: tuple[int, int], low: int, high: int, owner: int) -> bool:
        """Whether no other owner has bytes in [low, high) during the closed interval of times."""
        if high > self.capacity:
            return False
        rows = self._rows[:, : len(self._stay_at)]
        start, end = interval
        hit = (rows[_START] <= end) & (rows[_END] >= start) & (rows[_LOW] < high) & (rows[_HIGH] > low)
        hit &= rows[_OWNER] != owner
        return not hit.any()

    def best_fit(self, intervals: Sequence[tuple[int, int]], size: int, owner: int) -> int | None:
        """The offset of the smallest gap that fits, then of the lowest one.

        A gap is a maximal range of bytes that no other owner holds at any time of any of the closed ``intervals``;
        its low end is rounded up to the alignment before it is measured.

        Returns:
            The offset in bytes, or None where no gap has ``size`` bytes.
        """
        best: tuple[int, int] | None = None
        for low, high in self.gaps(intervals, owner):
            if high - low >= size and (best is None or high - low < best[0]):
                best = (high - low, low)
        return None if best is None else best[1]

    def gaps(self, intervals: Sequence[tuple[int, int]], owner: int) -> list[tuple[int, int]]:
        """The free byte ranges [low, high) over all of the intervals, low aligned, ascending; empty ones left out."""
        rows = self._others(intervals, owner)
        order = rows[_LOW].argsort(kind="stable")
        lows: list[int] = rows[_LOW, order].tolist()
        highs: list[int] = rows[_HIGH, order].tolist()
        found = []
        top, alignment = 0, self.alignment
        for low, high in zip(lows, highs, strict=True):
            if low > top:
                found.append((top, low))
            if high > top:
                top = -(-high // alignment) * alignment
        if self.capacity > top:
            found.append((top, self.capacity))
        return found

    def _others(self, intervals: Sequence[tuple[int, int]], owner: int) -> NDArray[np.int64]:
        rows = self._rows[:, : len(self._stay_at)]
        start, end = intervals[0]
        hit = (rows[_START] <= end) & (rows[_END] >= start)
        for start, end in intervals[1:]:
            hit |= (rows[_START] <= end) & (rows[_END] >= start)
        hit &= rows[_OWNER] != owner
        others: NDArray[np.int64] = rows[:, hit]
        return others
