"""How many bytes of fast memory are occupied at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

Interval = tuple[Hashable, int, int, int]
"""(owner, first time, last time, bytes); what has one owner shares its bytes, the largest counts."""


def peak_bytes(intervals: Iterable[Interval]) -> int:
    """Most bytes occupied at one time; an interval that ends before it starts occupies nothing."""
    changes: dict[int, list[tuple[bool, Hashable, int]]] = {}
    for owner, start, end, size in intervals:
        if start <= end:
            changes.setdefault(start, []).append((True, owner, size))
            changes.setdefault(end + 1, []).append((False, owner, size))
    sizes: dict[Hashable, list[int]] = {}
    occupied = peak = 0
    for time in sorted(changes):
        for begins, owner, size in changes[time]:
            held = sizes.setdefault(owner, [])
            occupied -= max(held, default=0)
            if begins:
                held.append(size)
            else:
                held.remove(size)
            occupied += max(held, default=0)
        peak = max(peak, occupied)
    return peak
