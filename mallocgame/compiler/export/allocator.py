"""The compiler's allocator in native code: best fit, as OpenXLA's GlobalDecreasingSizeBestFitHeap does it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mallocgame.problem.schema import Reservation
from mallocgame.system.machine_code import machine_code

Ints = npt.NDArray[np.int64]

NOWHERE = NEVER = -1


class Requests(NamedTuple):
    """What is to be allocated, block by block.

    Attributes:
        sizes: ``[B]`` bytes.
        parts: ``[P, 2]`` first and last times, inclusive, at which the bytes of each allocation are taken, ascending.
        part_ends: ``[A + 1]`` where an allocation's parts begin; the last is ``P``.
        early: ``[A]`` a time before it at which so many bytes have to be free as well, wherever they are; or NEVER.
        ends: ``[B + 1]`` where a block's allocations begin, which are in ascending order; the last is ``A``.
        until: ``[U]`` times until which room is sought, those of an allocation in ascending order: the first is that of
            the first use that it is for, those after it are of uses for which it could stay.
        until_ends: ``[A + 1]`` where an allocation's times begin; the last is ``U``.
        reserved: ``[R, 4]`` what instructions reserve, which the compiler allocates before all blocks: first byte, byte
            after the last one, first and last time; ascending.
    """

    sizes: Ints
    parts: Ints
    part_ends: Ints
    early: Ints
    ends: Ints
    until: Ints
    until_ends: Ints
    reserved: Ints


def requests(
    sizes: Sequence[int],
    parts: Sequence[Sequence[Sequence[tuple[int, int]]]],
    early: Sequence[Sequence[int]],
    until: Sequence[Sequence[Sequence[int]]],
    reserved: Sequence[Reservation],
) -> Requests:
    """Arrays of blocks: bytes, and for each of their allocations its parts, time before, and times to stay until."""
    times = list(chain.from_iterable(until))
    taken = list(chain.from_iterable(parts))
    return Requests(
        np.array(sizes, np.int64),
        np.array(list(chain.from_iterable(taken)), np.int64).reshape(-1, 2),
        _ends(taken),
        np.array(list(chain.from_iterable(early)), np.int64),
        _ends(parts),
        np.array(list(chain.from_iterable(times)), np.int64),
        _ends(times),
        np.array(sorted((one.offset, one.offset + one.size, one.start, one.end) for one in reserved), np.int64).reshape(
            -1, 4
        ),
    )


def _ends(lists: Sequence[Sequence[object]]) -> Ints:
    return np.cumsum([0, *map(len, lists)], dtype=np.int64)


@machine_code
def best_fit(
    sizes: Ints,
    parts: Ints,
    part_ends: Ints,
    early: Ints,
    ends: Ints,
    until: Ints,
    until_ends: Ints,
    reserved: Ints,
    order: Ints,
    capacity: int,
    alignment: int,
) -> Ints:
    """Allocate block by block: the smallest gap, then the lowest.

    What is above all blocks counts as endless there, so it is taken last. An allocation is made, by choice, where it
    could stay until a later use of its block, and has to be free there for all of its parts. A block of several
    allocations is placed whole or not at all.

    Args:
        sizes, parts, part_ends, early, ends, until, until_ends, reserved: see ``Requests``.
        order: ``[n]`` blocks, in the order in which they ask.
        capacity: bytes.
        alignment: bytes.

    Returns:
        ``[B]`` the offset of each block's last allocation; NOWHERE where it found no room.
    """
    offsets = np.full(len(sizes), NOWHERE, np.int64)
    count = len(reserved)
    taken = np.empty((count + len(parts), 4), np.int64)  # low, high, first time, last time; ascending
    taken[:count] = reserved
    for block in order:
        size, before = sizes[block], count
        new = np.full(ends[block + 1] - ends[block], NOWHERE, np.int64)
        for number in range(len(new)):
            asked = ends[block] + number
            own = parts[part_ends[asked] : part_ends[asked + 1]]
            time = early[asked]
            if time != NEVER:
                earlier = _covering(parts[part_ends[ends[block]] : part_ends[asked]], time)
                if _load(taken[:before], time) + (earlier + 1) * size > capacity:
                    break
            use = until_ends[asked + 1] - 1
            while use >= until_ends[asked] and new[number] == NOWHERE:
                new[number] = _room(taken[:before], own[0, 0], until[use], size, capacity, alignment)
                use -= 1
            if new[number] == NOWHERE:
                break
            if until[use + 1] < own[-1, 1]:
                for first, last in own:
                    if not _is_free(taken[:before], new[number], size, first, last):
                        new[number] = NOWHERE
                        break
                if new[number] == NOWHERE:
                    break
        if (new == NOWHERE).any():
            continue
        for number in range(len(new)):
            for first, last in parts[part_ends[ends[block] + number] : part_ends[ends[block] + number + 1]]:
                at = count
                while at > 0 and taken[at - 1, 0] > new[number]:
                    taken[at] = taken[at - 1]
                    at -= 1
                taken[at, 0], taken[at, 1], taken[at, 2], taken[at, 3] = new[number], new[number] + size, first, last
                count += 1
        offsets[block] = new[-1]
    return offsets


@machine_code
def _room(taken: Ints, first: int, last: int, size: int, capacity: int, alignment: int) -> int:
    """Where so many bytes are free between two times, inclusive; NOWHERE if nowhere.

    ``taken`` is ascending; a gap is measured from the highest end, aligned, of what is below it.
    """
    floor, best, found = 0, -1, NOWHERE
    for row in range(len(taken)):
        if taken[row, 2] > last or taken[row, 3] < first:
            continue
        gap = taken[row, 0] - floor
        if gap >= size and (found == NOWHERE or gap < best):
            best, found = gap, floor
        floor = max(floor, (taken[row, 1] + alignment - 1) // alignment * alignment)
    if found == NOWHERE and floor + size <= capacity:
        found = floor
    return found


@machine_code
def _is_free(taken: Ints, offset: int, size: int, first: int, last: int) -> bool:
    """Whether these bytes are free between two times, inclusive."""
    for row in range(len(taken)):
        if (
            taken[row, 2] <= last
            and taken[row, 3] >= first
            and taken[row, 0] < offset + size
            and offset < taken[row, 1]
        ):
            return False
    return True


@machine_code
def _covering(parts: Ints, time: int) -> int:
    """How many of these parts are taken at a time."""
    total = 0
    for row in range(len(parts)):
        if parts[row, 0] <= time <= parts[row, 1]:
            total += 1
    return total


@machine_code
def _load(taken: Ints, time: int) -> int:
    """Bytes that are taken at a time."""
    total = 0
    for row in range(len(taken)):
        if taken[row, 2] <= time <= taken[row, 3]:
            total += taken[row, 1] - taken[row, 0]
    return total
