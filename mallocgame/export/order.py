"""An order in which the compiler's allocator finds room for everything that a plan puts into fast memory.

The compiler chooses addresses itself, buffer by buffer, by best fit. ``fitting_order`` simulates that for several
orders and takes the first under which everything fits, else the one that fits most.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mallocgame.named_plan import NamedTensor
from mallocgame.plan import Stay

RANDOM_TRIES = 4000
STALE_TRIES = 150
"""Tries without a gain after which the search starts again from one of the first orders."""

WORK_LIMIT = 200_000_000
"""Bound on tries times squared blocks, which bounds the time of the search to some tens of seconds."""


@dataclass(frozen=True, slots=True)
class Block:
    """What is allocated at once: the stays of one alias group.

    Attributes:
        group: number of the group.
        size: bytes.
        intervals: (first, last) occupied times of its stays, inclusive.
        offset: where the plan has it.
        uses: times of all uses of the group, in HBM or not, ascending.
    """

    group: int
    size: int
    intervals: tuple[tuple[int, int], ...]
    offset: int
    uses: tuple[int, ...] = ()

    @property
    def duration(self) -> int:
        """Times that it occupies."""
        return sum(end - start + 1 for start, end in self.intervals)


def blocks_of(stays: Sequence[Stay], tensors: Sequence[NamedTensor]) -> list[Block]:
    """The blocks of a plan, by group number."""
    members: dict[int, list[Stay]] = {}
    for stay in stays:
        members.setdefault(tensors[stay.tensor].group, []).append(stay)
    uses: dict[int, set[int]] = {group: set() for group in members}
    for tensor in tensors:
        if tensor.group in uses:
            uses[tensor.group].update(use.time for use in tensor.uses)
    return [
        Block(
            group,
            max(tensors[stay.tensor].size for stay in found),
            tuple(sorted((stay.start, stay.end) for stay in found)),
            found[0].offset,
            tuple(sorted(uses[group])),
        )
        for group, found in sorted(members.items())
    ]


def place(order: Sequence[Block], capacity: int, alignment: int) -> tuple[dict[int, int], list[Block]]:
    """Best fit in this order, as OpenXLA's GlobalDecreasingSizeBestFitHeap does: the smallest gap, then the lowest.

    What is above all blocks counts as endless there, so it is taken last.

    Returns:
        Offset of each group whose block was placed (several stays of one group share no block: each interval is placed
        for itself, and the last offset is told), and the blocks that did not fit.
    """
    placed: list[tuple[int, int, int, int]] = []
    offsets: dict[int, int] = {}
    missed = []
    for block in order:
        new = []
        for start, end in _allocations(block):
            offset = _longest_fit(placed, block, start, end, capacity, alignment)
            if offset is None:
                break
            new.append((start, end, offset, offset + block.size))
        else:
            placed += new
            offsets[block.group] = new[-1][2]
            continue
        missed.append(block)
    return offsets, missed


def _allocations(block: Block) -> list[tuple[int, int]]:
    """Overlapping or touching intervals are one allocation: aliased tensors keep one offset."""
    merged: list[tuple[int, int]] = []
    for start, end in block.intervals:
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _longest_fit(
    placed: Sequence[tuple[int, int, int, int]], block: Block, start: int, end: int, capacity: int, alignment: int
) -> int | None:
    """Best fit for an allocation that ends at ``end``, by choice where it could stay until a later use of the group."""
    for last in (*(time for time in reversed(block.uses) if time > end), end):
        offset = _best_fit(placed, start, last, block.size, capacity, alignment)
        if offset is not None:
            return offset
    return None


def _best_fit(
    placed: Sequence[tuple[int, int, int, int]], start: int, end: int, size: int, capacity: int, alignment: int
) -> int | None:
    taken = sorted((low, high) for first, last, low, high in placed if first <= end and start <= last)
    best: tuple[int, int] | None = None
    floor = 0
    for low, high in taken:
        gap = low - floor
        if gap >= size and (best is None or gap < best[0]):
            best = (gap, floor)
        floor = max(floor, -(-high // alignment) * alignment)
    if best is not None:
        return best[1]
    return floor if floor + size <= capacity else None


def fitting_order(
    blocks: Sequence[Block], capacity: int, alignment: int, first: Sequence[int] = (), seed: int = 0
) -> tuple[list[Block], list[Block]]:
    """An order for the compiler's allocator, and the blocks that find no room even so.

    Groups of ``first`` come first, in that order. The same arguments give the same order.
    """
    front = {group: rank for rank, group in enumerate(first)}
    starts = [sorted(blocks, key=lambda block: (*key(block), block.group)) for key in _KEYS]
    for start in starts:
        start.sort(key=lambda block: front.get(block.group, len(front)))
    found = [_Try(start, place(start, capacity, alignment)[1]) for start in starts]
    best = min(found, key=lambda one: one.cost)
    rng = random.Random(seed)
    current, stale = best, 0
    for _ in range(min(RANDOM_TRIES, WORK_LIMIT // max(1, len(blocks) ** 2))):
        if not best.missed:
            break
        order = _perturbed(current.order, current.missed, rng)
        order.sort(key=lambda block: front.get(block.group, len(front)))
        new = _Try(order, place(order, capacity, alignment)[1])
        stale = 0 if new.cost < current.cost else stale + 1
        if new.cost <= current.cost:
            current = new
        if new.cost < best.cost:
            best = new
        if stale > STALE_TRIES:
            current, stale = rng.choice(found), 0
    return best.order, best.missed


_KEYS: tuple[Callable[[Block], tuple[int, ...]], ...] = (
    lambda block: (block.offset, block.intervals[0][0]),
    lambda block: (-block.size * block.duration, block.offset),
    lambda block: (-block.duration, -block.size, block.offset),
    lambda block: (-block.size, -block.duration, block.offset),
    lambda block: (block.intervals[0][0], block.offset),
)
"""Orders to begin with."""


class _Try:
    """An order, what finds no room in it, and how much that is in bytes x times."""

    def __init__(self, order: list[Block], missed: list[Block]) -> None:
        self.order = order
        self.missed = missed
        self.cost = sum(block.size * block.duration for block in missed)


def _perturbed(order: Sequence[Block], missed: Sequence[Block], rng: random.Random) -> list[Block]:
    """The missed blocks moved forward, and a few others swapped."""
    front = {block.group for block in missed}
    new = [block for block in order if block.group not in front]
    for block in missed:
        new.insert(rng.randrange(len(new) + 1) // 2, block)
    for _ in range(rng.randrange(4)):
        one, other = rng.randrange(len(new)), rng.randrange(len(new))
        new[one], new[other] = new[other], new[one]
    return new
