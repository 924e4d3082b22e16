"""An order in which the compiler's allocator finds room for everything that a plan puts into fast memory.

The compiler chooses addresses itself, buffer by buffer, by best fit. ``fitting_order`` simulates that for several
orders and takes the first under which everything fits, else the one that fits most. The compiler's own order comes
first: what fits in it needs no override, and where a few blocks do not, these few go before all others.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, takewhile
from math import inf
from typing import NamedTuple

import numpy as np

from mallocgame.compiler.export.allocator import NEVER, NOWHERE, Ints, Requests, best_fit, requests
from mallocgame.plan.named_plan import NamedTensor
from mallocgame.plan.plan import Plan, Stay
from mallocgame.problem.schema import Reservation

RANDOM_TRIES = 4000
STALE_TRIES = 150
"""Tries without a gain after which the search starts again from one of the first orders."""

OWN_ORDERS = 8
"""As which the compiler's own order is tried: what is of one tier comes in another order in each, and the other way
round in the next, so that each of any two is the first once. Without that half of the orders that the compiler may take
of a plan for AlphaTensor found no room for something."""

OWN_STARTS, OWN_TRIES, OWN_KEPT = 12, 300, 3
"""How often exceptions to the compiler's own order are sought, how many tries each search has, and how many of what is
found are looked at more closely. Of the 60 shipped problems' plans four find none."""

WORK_LIMIT = 2_000_000_000
"""Bound on tries times squared blocks, which bounds the time of the search to about ten seconds."""


@dataclass(frozen=True, slots=True)
class Block:
    """What is allocated at once: the stays of one alias group.

    Attributes:
        group: number of the group.
        size: bytes.
        intervals: (first, last) occupied times of what is placed for itself, inclusive: what overlaps or touches keeps
            one place, but a copy gets one of its own.
        offset: where the plan has it.
        uses: times of all uses of the group, in HBM or not, ascending.
        far: those of them that are beyond the plan's reach of the one before.
        hasty: first times of its stays whose copy starts just before and is waited for at once. MSA does not look for a
            place then unless so many bytes, wherever they are, are free one time earlier, too ("Any prefetch in range
            ... would go out of memory"; ``FindEarliestExclusiveTimeToSatisfyPeakMemory`` in OpenXLA's algorithm.cc,
            measured with libtpu 0.0.52).
        holes: (first, last) times inside of the intervals, inclusive, at which others may have its bytes: in a loop,
            from the last use of what it carries until that is made anew.
    """

    group: int
    size: int
    intervals: tuple[tuple[int, int], ...]
    offset: int
    uses: tuple[int, ...] = ()
    far: frozenset[int] = frozenset()
    hasty: tuple[int, ...] = ()
    holes: tuple[tuple[int, int], ...] = ()

    @property
    def duration(self) -> int:
        """Times that it occupies."""
        return sum(end - start + 1 for start, end in self.intervals)


def blocks_of(plan: Plan, tensors: Sequence[NamedTensor]) -> list[Block]:
    """The blocks of a plan, by group number."""
    stays = plan.stays
    copied = {(copy.tensor, copy.after + 1) for copy in plan.copies if copy.kind == "prefetch"}
    hasty = {(copy.tensor, copy.before) for copy in plan.copies if copy.before == copy.after + 1}
    members: dict[int, list[Stay]] = {}
    for stay in stays:
        members.setdefault(tensors[stay.tensor].group, []).append(stay)
    uses: dict[int, set[int]] = {group: set() for group in members}
    far: dict[int, set[int]] = {group: set() for group in members}
    for tensor in tensors:
        if tensor.group in uses:
            uses[tensor.group].update(use.time for use in tensor.uses)
            far[tensor.group].update(use.time for use in tensor.uses if use.far)
    return [
        Block(
            group,
            max(tensors[stay.tensor].size for stay in found),
            tuple(
                _merged(
                    ((stay.start, stay.end) for stay in found),
                    {stay.start for stay in found if (stay.tensor, stay.start) in copied},
                )
            ),
            found[0].offset,
            tuple(sorted(uses[group])),
            frozenset(far[group]),
            tuple(sorted(stay.start for stay in found if (stay.tensor, stay.start) in hasty)),
            _holes(found, tensors),
        )
        for group, found in sorted(members.items())
    ]


def _holes(stays: Sequence[Stay], tensors: Sequence[NamedTensor]) -> tuple[tuple[int, int], ...]:
    """Times at which a group that a loop carries has its bytes in the plan, and not in the compiler.

    What enters the loop has them in the plan until the loop is over; in the compiler until the body's parameter does,
    which is the second tensor of the group that begins in the loop, after the condition's.
    """
    starts = sorted(stay.start for stay in stays)
    loops = {(tensors[stay.tensor].id, use.time) for stay in stays for use in tensors[stay.tensor].uses if use.loop}
    taken = []
    for stay in stays:
        inside = [start for start in starts if stay.start < start < stay.end]
        entering = (stay.tensor, stay.end) in loops and len(inside) > 1
        taken.append((stay.start, inside[1] if entering else stay.end))
    parts = _merged(taken)
    return tuple((one[1] + 1, other[0] - 1) for one, other in pairwise(parts))


def _merged(intervals: Iterable[tuple[int, int]], apart: Container[int] = ()) -> list[tuple[int, int]]:
    """Intervals that overlap or touch as one; one that starts at such a time and only touches stays ``apart``."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1] + (start not in apart):
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def requests_of(blocks: Sequence[Block], reserved: Sequence[Reservation] = ()) -> Requests:
    """What the compiler's allocator is asked for; each interval of a block is placed for itself."""
    parts = [[_parts(block, *interval) for interval in block.intervals] for block in blocks]
    early = [[start - 1 if start in block.hasty else NEVER for start, _ in block.intervals] for block in blocks]
    until = [[_until(block, first, last) for first, last in block.intervals] for block in blocks]
    return requests([block.size for block in blocks], parts, early, until, reserved)


def _until(block: Block, first: int, last: int) -> list[int]:
    """The first use of an allocation (its last time if there is none), and later ones for which it could stay."""
    asked = next((use for use in block.uses if first <= use <= last), last)
    later = (use for use in block.uses if use > asked)
    return [asked, *takewhile(lambda use: use not in block.far, later)]


def _parts(block: Block, first: int, last: int) -> list[tuple[int, int]]:
    """What is left of an allocation without the holes in it."""
    parts = []
    for start, end in block.holes:
        if first < start <= end < last:
            parts.append((first, start - 1))
            first = end + 1
    return [*parts, (first, last)]


def fitting_order(
    blocks: Sequence[Block],
    capacity: int,
    alignment: int,
    first: Sequence[int] = (),
    seed: int = 0,
    known: Sequence[int] = (),
    reserved: Sequence[Reservation] = (),
    tiers: Sequence[Sequence[int]] = (),
) -> Order:
    """An order for the compiler's allocator, beside what is reserved. The same arguments give the same order.

    Args:
        blocks: what is to be allocated.
        capacity: bytes.
        alignment: bytes.
        first: groups that come first, in that order.
        seed: of random choices.
        known: groups in an order that is tried before others but the compiler's.
        reserved: what instructions take for themselves.
        tiers: groups in the compiler's own order (``NamedPlan.tiers``); empty where it is not known.
    """
    own = None
    if {block.group for block in blocks} <= set(chain.from_iterable(tiers)):
        own = _Own(blocks, capacity, alignment, reserved, tiers, first)
        told = own.exceptions(seed)
        if told is not None:
            return Order([blocks[number] for number in told], [blocks[number] for number in own.rest(told)], [])
    asked, cost = requests_of(blocks, reserved), np.array([block.size * block.duration for block in blocks], np.float64)
    front = np.array([first.index(block.group) if block.group in first else len(first) for block in blocks], np.int64)

    def tried(order: Ints) -> _Try:
        order = order[np.argsort(front[order], kind="stable")]
        missed = order[best_fit(*asked, order, capacity, alignment)[order] == NOWHERE]
        return _Try(order, missed, float(cost[missed].sum()))

    numbers = range(len(blocks))
    starts = [sorted(numbers, key=lambda number: (*key(blocks[number]), blocks[number].group)) for key in _KEYS]
    if known:
        places = {group: place for place, group in enumerate(known)}
        starts.insert(0, sorted(numbers, key=lambda number: places.get(blocks[number].group, len(known))))
    found = [tried(np.array(start, np.int64)) for start in starts]
    best = min(found, key=lambda one: one.cost)
    rng = random.Random(seed)
    current, stale = best, 0
    for _ in range(min(RANDOM_TRIES, WORK_LIMIT // max(1, len(blocks) ** 2))):
        if not len(best.missed):
            break
        new = tried(_perturbed(current.order.tolist(), current.missed.tolist(), rng))
        stale = 0 if new.cost < current.cost else stale + 1
        if new.cost <= current.cost:
            current = new
        if new.cost < best.cost:
            best = new
        if stale > STALE_TRIES:
            current, stale = rng.choice(found), 0
    told = best.order.tolist() if own is None else own.shortened(best.order.tolist(), best.cost)
    rest = [] if own is None else own.rest(told)
    return Order(*([blocks[number] for number in numbers] for numbers in (told, rest, best.missed)))


class Order(NamedTuple):
    """An order for the compiler's allocator.

    Attributes:
        told: blocks that have to be allocated before all others, in this order.
        rest: the others, in the compiler's own order.
        missed: those of all of them that find no room even so.
    """

    told: list[Block]
    rest: list[Block]
    missed: list[Block]

    @property
    def fitting(self) -> tuple[int, ...]:
        """The groups that find room, in this order."""
        missed = {block.group for block in self.missed}
        return tuple(block.group for block in (*self.told, *self.rest) if block.group not in missed)


class _Own:
    """The compiler's own order of blocks, by number, in as many ways as it may be."""

    def __init__(
        self,
        blocks: Sequence[Block],
        capacity: int,
        alignment: int,
        reserved: Sequence[Reservation],
        tiers: Sequence[Sequence[int]],
        first: Sequence[int],
    ) -> None:
        self.asked, self.capacity, self.alignment = requests_of(blocks, reserved), capacity, alignment
        self.cost = [block.size * block.duration for block in blocks]
        self.tries = min(OWN_TRIES, WORK_LIMIT // (OWN_STARTS * OWN_ORDERS * max(1, len(blocks) ** 2)))
        numbers = {block.group: number for number, block in enumerate(blocks)}
        self.first = [numbers[group] for group in first if group in numbers]
        present = [[numbers[group] for group in tier if group in numbers] for tier in tiers]
        rng = random.Random(0)
        self.orders: list[list[int]] = []
        while len(self.orders) < OWN_ORDERS:
            self.orders.append(list(chain.from_iterable(present)))
            self.orders.append([number for tier in present for number in reversed(tier)])
            present = [rng.sample(tier, len(tier)) for tier in present]

    def rest(self, told: Sequence[int]) -> list[int]:
        """All blocks but these, in the compiler's order."""
        before = set(told)
        return [number for number in self.orders[0] if number not in before]

    def exceptions(self, seed: int) -> list[int] | None:
        """Few blocks which, allocated first, let everything find room; those that have to be first among them.

        None where nothing was found.
        """
        starts = range(OWN_STARTS if self._missed(self.first) else 1)
        found = [told for start in starts if (told := self._search(random.Random(f"{seed} {start}"))) is not None]
        shortest = sorted(found, key=len)[:OWN_KEPT]
        return min((self._without_needless(told, 0.0) for told in shortest), key=len, default=None)

    def _search(self, rng: random.Random) -> list[int] | None:
        """What finds no room goes before all others; what found none more often goes further ahead."""
        told, failures = list(self.first), dict.fromkeys(self.first, inf)
        for _ in range(self.tries):
            missed = self._missed(told)
            if not missed:
                return told
            for number in missed:
                failures[number] = failures.get(number, 0.0) + 1.0
            told = sorted(failures, key=lambda number: -failures[number] - rng.random())
            told = [*self.first, *(number for number in told if failures[number] != inf)]
        return None

    def shortened(self, order: Sequence[int], cost: float) -> list[int]:
        """The beginning of an order without which more is lost than this, in bytes x times; the rest as the compiler's
        own order has it."""
        length = bisect_left(range(len(order)), True, key=lambda length: not self._loses(order[:length], cost))
        return self._without_needless(list(order[:length]), cost)

    def _missed(self, told: Sequence[int]) -> list[int]:
        """Blocks that find no room where these are allocated first: under the first order in which there are any."""
        return next(filter(None, self._missed_by_order(told)), [])

    def _loses(self, told: Sequence[int], cost: float) -> bool:
        """Whether under any of the orders more finds no room than this."""
        return any(sum(self.cost[number] for number in missed) > cost for missed in self._missed_by_order(told))

    def _missed_by_order(self, told: Sequence[int]) -> Iterator[list[int]]:
        before = set(told)
        for order in self.orders:
            whole = np.array([*told, *(number for number in order if number not in before)], np.int64)
            offsets = best_fit(*self.asked, whole, self.capacity, self.alignment)
            yield [number for number in whole.tolist() if offsets[number] == NOWHERE]

    def _without_needless(self, told: list[int], cost: float) -> list[int]:
        """First many at once, at last until none can be left out; one that could not may be once another one is."""
        size, before = len(told), told
        while size > 1 or told != before:
            size, before = max(1, size // 2), told
            for start in reversed(range(len(self.first), len(before), size)):
                leaving = set(before[start : start + size])
                fewer = [number for number in told if number not in leaving]
                if not self._loses(fewer, cost):
                    told = fewer
        return told


def levels(blocks: Sequence[Block]) -> list[list[Block]]:
    """Blocks in the order of their allocation as levels of those among which the order makes no difference.

    Two blocks that never are in fast memory at once do not see each other, wherever room is sought for them.
    """
    found: list[list[Block]] = []
    for block in blocks:
        above = [number for number, level in enumerate(found) if any(_meet(block, other) for other in level)]
        level = max(above, default=-1) + 1
        if level == len(found):
            found.append([])
        found[level].append(block)
    return found


def _meet(one: Block, other: Block) -> bool:
    (first, last), (start, end) = _reach(one), _reach(other)
    return first <= end and start <= last


def _reach(block: Block) -> tuple[int, int]:
    """The first and last time at which it can matter what else is allocated."""
    last = block.intervals[-1][1]
    return block.intervals[0][0] - 1, max([last, *block.uses])


_KEYS: tuple[Callable[[Block], tuple[int, ...]], ...] = (
    lambda block: (block.offset, block.intervals[0][0]),
    lambda block: (-block.size * block.duration, block.offset),
    lambda block: (-block.duration, -block.size, block.offset),
    lambda block: (-block.size, -block.duration, block.offset),
    lambda block: (block.intervals[0][0], block.offset),
)
"""Orders to begin with."""


class _Try(NamedTuple):
    """An order of blocks, by number, what finds no room in it, and how much that is in bytes x times."""

    order: Ints
    missed: Ints
    cost: float


def _perturbed(order: Sequence[int], missed: Sequence[int], rng: random.Random) -> Ints:
    """The missed blocks moved forward, and a few others swapped."""
    front = set(missed)
    new = [block for block in order if block not in front]
    for block in missed:
        new.insert(rng.randrange(len(new) + 1) // 2, block)
    for _ in range(rng.randrange(4)):
        one, other = rng.randrange(len(new)), rng.randrange(len(new))
        new[one], new[other] = new[other], new[one]
    return np.array(new, np.int64)
