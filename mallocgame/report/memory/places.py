"""Places in one allocation, which values share one after the other, and what holds something at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from mallocgame.problem.liveness import Range
from xla_dump_parser import AssignedValue


@dataclass(frozen=True, slots=True)
class Lived:
    """A value in its allocation, with its live range."""

    value: AssignedValue
    live: Range


def live_bytes(allocations: Iterable[Sequence[Lived]], times: int) -> list[int]:
    """Bytes of these allocations that hold something, by time, by the values of each.

    Values that share a place are counted once: the bytes of each place are those that its values cover together. Of
    two values that overlap in part, what they share is counted once too.
    """
    change = [0] * (times + 1)
    for values in allocations:
        for start, end, size in _covered(values):
            change[start] += size
            change[end + 1] -= size
    return list(accumulate(change))[:times]


def peak_time(allocations: Iterable[Sequence[Lived]], times: int) -> int:
    """The first time at which most bytes of these allocations hold something, as ``live_bytes`` counts them."""
    totals = live_bytes(allocations, times)
    return totals.index(max(totals))


def _covered(values: Sequence[Lived]) -> Iterable[tuple[int, int, int]]:
    """(first time, last time, bytes): the bytes of each piece between two neighbouring ends of values, once a time."""
    edges = sorted({edge for one in values for edge in (one.value.offset, one.value.offset + one.value.size)})
    starting: dict[int, list[Lived]] = {}
    for one in values:
        starting.setdefault(one.value.offset, []).append(one)
    present: list[Lived] = []
    for edge, following in pairwise(edges):
        present = [one for one in present if one.value.offset + one.value.size > edge] + starting.get(edge, [])
        for start, end in _union(one.live for one in present):
            yield start, end, following - edge


def _union(ranges: Iterable[Range]) -> list[Range]:
    """Closed ranges that cover the same times and do not overlap."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def holding(values: Sequence[Lived], time: int) -> list[tuple[Lived, int]]:
    """The values that hold something at a time, with the bytes of their places; each byte belongs to one value."""
    live = [one for one in values if one.live[0] <= time <= one.live[1]]
    live.sort(key=lambda one: (one.value.offset, -one.value.size, -one.live[0]))
    found = []
    end = 0
    for one in live:
        own = one.value.offset + one.value.size - max(end, one.value.offset)
        if own > 0:
            found.append((one, own))
            end = one.value.offset + one.value.size
    return found
