"""Blocks as arrays for the machine code.

Time matters only as far as it says who is live together: a *section* is a set of blocks that are live at once and is
part of no larger such set. Every pair that overlaps in time shares a section.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mallocgame.packing.block import Block
from mallocgame.packing.native import layout
from mallocgame.packing.native.calls import table_of
from mallocgame.packing.native.layout import Arrays, Ints

TABLE_SIZE = 1 << 18
"""Failed states that are kept by hash."""
MOST_PAIRS = 1 << 22
"""Pairs of ranges that are compared at once."""


def partitions(blocks: Sequence[Block]) -> list[list[int]]:
    """Groups of blocks that share no time, as indices; those that never occupy a byte are in none."""
    occupying = [index for index, block in enumerate(blocks) if block.ranges]
    groups: list[list[int]] = []
    end = 0
    for index in sorted(occupying, key=lambda index: blocks[index].ranges[0][0]):
        ranges = blocks[index].ranges
        if not groups or ranges[0][0] >= end:
            groups.append([])
            end = ranges[-1][1]
        groups[-1].append(index)
        end = max(end, ranges[-1][1])
    return groups


@dataclass(frozen=True)
class Peak:
    """A time at which the sum of sizes is largest.

    Attributes:
        time: the first such time.
        load: bytes.
        blocks: that are live then.
    """

    time: int
    load: int
    blocks: tuple[int, ...]


def peak(blocks: Sequence[Block]) -> Peak:
    """Where the most bytes are live at once."""
    changes = sorted(
        (time, change)
        for block in blocks
        for low, high, size in block.ranges
        for time, change in ((low, size), (high, -size))
    )
    load = largest = top = 0
    for time, change in changes:
        load += change
        if load > largest:
            largest, top = load, time
    live = (any(low <= top < high for low, high, _ in block.ranges) for block in blocks)
    return Peak(top, largest, tuple(index for index, there in enumerate(live) if there))


def max_load(blocks: Sequence[Block]) -> int:
    """Bytes that any packing needs: the largest sum of sizes that are live at once, and the end of each block."""
    return max([peak(blocks).load, *((block.fixed or 0) + block.size for block in blocks)])


@dataclass(frozen=True)
class Runs:
    """All runs of blocks, each a range of sections in which a block has one size, by block and then by time.

    Attributes:
        owner: ``[runs]`` blocks.
        low: ``[runs]``: first time; so ``high``: the first after it, ``size``: bytes.
        first: ``[runs]``: first section; so ``end``: the first after it.
        count: of blocks.
    """

    owner: Ints
    low: Ints
    high: Ints
    size: Ints
    first: Ints
    end: Ints
    count: int

    @cached_property
    def loads(self) -> Ints:
        """``[sections]``: bytes of each."""
        changes = np.zeros(int(np.max(self.end, initial=0)) + 1, np.int64)
        np.add.at(changes, self.first, self.size)
        np.subtract.at(changes, self.end, self.size)
        loads: Ints = np.cumsum(changes)[:-1]
        return loads


def runs_of(blocks: Sequence[Block]) -> Runs:
    """The runs of blocks each of which has a range.

    A section is a moment at which a range begins and after which one is about to end: all other moments are part of
    one of these.
    """
    ranges = [(owner, *each) for owner, block in enumerate(blocks) for each in block.ranges]
    owner, low, high, size = np.array(ranges, np.int64).reshape(len(ranges), 4).T.copy()
    begins, ends = set(low.tolist()), set(high.tolist())
    times = sorted(begins | ends)
    moments = [time for time, after in pairwise(times) if time in begins and after in ends]
    return Runs(owner, low, high, size, np.searchsorted(moments, low), np.searchsorted(moments, high), len(blocks))


class State:
    """A search that has not begun.

    Attributes:
        arrays: of the machine code; ``rooms`` and all before it, ``spans``, ``sizes`` and ``obstacles`` stay.
        table: the same for `calls`.
    """

    def __init__(self, blocks: Sequence[Block], runs: Runs) -> None:
        count = len(blocks)
        owners, neighbours, rooms = _neighbours(runs)
        fixed = np.array([-1 if block.fixed is None else block.fixed for block in blocks], np.int64)
        obstacle_owners, obstacles = _obstacles(fixed, owners, neighbours, rooms)
        rows = np.zeros((layout.BLOCK_ROWS, count + 1), np.int64)
        rows[layout.SIZE, :count] = [block.size for block in blocks]
        rows[layout.ALIGNMENT, :count] = [block.alignment for block in blocks]
        rows[layout.FIXED, :count] = fixed
        starts = [np.searchsorted(kind, np.arange(count + 1)) for kind in (owners, runs.owner, obstacle_owners)]
        self.arrays = Arrays(
            blocks=rows,
            starts=np.array(starts, np.uint32),
            neighbours=neighbours.astype(np.uint32).reshape(1, -1),
            rooms=rooms,
            spans=np.array([runs.first, runs.end], np.uint32),
            sizes=runs.size.reshape(1, -1),
            obstacles=obstacles,
            sections=np.zeros((layout.SECTION_ROWS, len(runs.loads) + 1), np.int64),
            items=np.zeros((1, count), np.uint32),
            component=np.zeros((1, count), np.int64),
            order=np.zeros((1, count), np.uint32),
            frames=np.zeros((layout.FRAME_ROWS, count + 1), np.int64),
            raised=np.zeros((3, 2 * len(neighbours) + 2 * count + 1), np.int64),
            table=np.zeros((1, TABLE_SIZE), np.uint64),
            counters=np.zeros((1, layout.COUNTERS), np.int64),
        )
        self.table = table_of(self.arrays)

    @property
    def heads(self) -> Ints:
        """``[n]``: bytes; the offsets of those that are placed."""
        return self.arrays.blocks[layout.HEAD, :-1]

    @property
    def placed(self) -> npt.NDArray[np.bool_]:
        """``[n]``."""
        return self.arrays.blocks[layout.PLACED, :-1].astype(bool)


def _neighbours(runs: Runs) -> tuple[Ints, Ints, Ints]:
    """Pairs of blocks that are live together, by block and then by neighbour, and their ``[2, pairs]`` rooms."""
    found = []
    step = max(1, MOST_PAIRS // max(1, len(runs.owner)))
    for start in range(0, max(1, len(runs.owner)), step):
        part = slice(start, start + step)
        mine, other = np.nonzero((runs.low < runs.high[part, None]) & (runs.high > runs.low[part, None]))
        mine += start
        apart = runs.owner[mine] != runs.owner[other]
        found.append((mine[apart], other[apart]))
    mine, other = (np.concatenate(side) for side in zip(*found, strict=True))
    pairs = runs.owner[mine] * runs.count + runs.owner[other]
    by_pair = np.argsort(pairs, kind="stable")
    pairs = pairs[by_pair]
    begins = np.nonzero(np.diff(pairs, prepend=-1))[0]
    below, above = (
        np.maximum.reduceat(runs.size[side[by_pair]], begins) if len(begins) else np.empty(0, np.int64)
        for side in (mine, other)
    )
    return pairs[begins] // runs.count, pairs[begins] % runs.count, np.array([below, above])


def _obstacles(fixed: Ints, owners: Ints, neighbours: Ints, rooms: Ints) -> tuple[Ints, Ints]:
    """The fixed neighbours of blocks that are not, by block and offset: the blocks, and ``Arrays.obstacles``."""
    chosen = np.nonzero((fixed[owners] < 0) & (fixed[neighbours] >= 0))[0]
    owner, offset = owners[chosen], fixed[neighbours[chosen]]
    obstacles = np.array([offset, offset + rooms[layout.ABOVE, chosen], rooms[layout.BELOW, chosen]])
    by_offset = np.lexsort((obstacles[1], offset, owner))
    return owner[by_offset], np.ascontiguousarray(obstacles[:, by_offset])
