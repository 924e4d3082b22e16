"""One partition of a packing problem as arrays for the native search.

Time matters only as far as it says who is live together: a *section* is a set of buffers that are live at once and is
part of no larger such set. Every pair that overlaps in time shares a section.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from mallocgame.packing.buffer import Buffer

BUFFER = np.dtype(
    [
        ("size", np.int64),
        ("alignment", np.int64),
        ("fixed", np.int64),  # its only offset, or -1
        ("head", np.int64),  # lowest offset above all its placed neighbours; its offset once it is placed
        ("bound", np.int64),  # no offset below this can be part of a solution from here
        ("blocked", np.int64),  # 1: it is not at ``head``, a neighbour that is placed later has to raise it
        ("placed", np.int64),
        ("priority", np.float64),  # larger goes first among equals
        ("neighbours", np.int64),  # start of its own range in `State.neighbours`; so the next two
        ("sections", np.int64),
        ("obstacles", np.int64),
    ]
)
"""A row a buffer, and one row more that ends the ranges of the last one."""

SECTION = np.dtype(
    [
        ("load", np.int64),  # bytes of its buffers that are not placed
        ("floor", np.int64),  # lowest bound among those
        ("score", np.float64),  # how soon the search goes on in this section; smaller first
        ("begin", np.int64),  # used while splitting into components
    ]
)

FRAME = np.dtype(
    [
        ("low", np.int64),  # the node's buffers: ``items[low:high]``
        ("high", np.int64),
        ("next", np.int64),  # start of the next component to be solved
        ("raised", np.int64),  # lengths of the two trails when the node began
        ("order", np.int64),
        ("choice", np.int64),  # length of the first one when the node chose
        ("key", np.uint64),  # hash of the node's state
    ]
)

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class State:
    """The arrays of a search; `exact_search.search` changes all but the last three.

    Attributes:
        buffers: ``[n + 1]`` of `BUFFER`.
        sections: ``[sections + 1]`` of `SECTION`, in order of time.
        frames: ``[n + 1]`` of `FRAME`: the path of nodes.
        items: ``[n]`` buffers; each node owns a slice.
        component: ``[n]`` beside ``items``.
        sorted: ``[n]`` room to sort a slice in.
        raised: ``[..., 3]`` trail of (buffer, head, blocked) before each change.
        order: ``[n]`` buffers in the order in which they were placed.
        neighbours: buffers that are live together with each.
        members: sections of each buffer.
        obstacles: ``[..., 2]`` (offset, end) of the fixed neighbours of each, by offset.
    """

    buffers: Rows
    sections: Rows
    frames: Rows
    items: Ints
    component: Ints
    sorted: Ints
    raised: Ints
    order: Ints
    neighbours: Ints
    members: Ints
    obstacles: Ints

    @property
    def arrays(self) -> tuple[Any, ...]:
        """As native code takes them, in this order."""
        return tuple(getattr(self, field.name) for field in fields(self))


def partitions(buffers: Sequence[Buffer]) -> list[list[int]]:
    """Groups of buffers that share no time, as indices; buffers that never occupy a byte are in none."""
    occupying = [index for index, buffer in enumerate(buffers) if buffer.size and buffer.live()]
    groups: list[list[int]] = []
    end = 0
    for index in sorted(occupying, key=lambda index: buffers[index].lower):
        buffer = buffers[index]
        if not groups or buffer.lower >= end:
            groups.append([])
            end = buffer.upper
        groups[-1].append(index)
        end = max(end, buffer.upper)
    return groups


def live_together(buffers: Sequence[Buffer]) -> npt.NDArray[np.bool_]:
    """``[n, sections]``: which buffers are live in which section, in order of time."""
    ranges = [buffer.live() for buffer in buffers]
    times = np.unique([time for live in ranges for pair in live for time in pair])
    columns = np.zeros((len(buffers), max(len(times) - 1, 0)), dtype=bool)
    for row, live in enumerate(ranges):
        for low, high in live:
            columns[row, np.searchsorted(times, low) : np.searchsorted(times, high)] = True
    return columns[:, _maximal(columns)]


def max_load(buffers: Sequence[Buffer]) -> int:
    """Bytes that any packing needs: the largest sum of sizes that are live at once, and the end of each buffer."""
    changes = sorted(
        (time, change)
        for buffer in buffers
        for low, high in buffer.live()
        for time, change in ((low, buffer.size), (high, -buffer.size))
    )
    load = largest = 0
    for _, change in changes:
        load += change
        largest = max(largest, load)
    return max([largest, *((buffer.offset or 0) + buffer.size for buffer in buffers)])


def make_state(buffers: Sequence[Buffer]) -> State:
    """The arrays of a partition, nothing placed."""
    count = len(buffers)
    columns = live_together(buffers)
    shared = _neighbours(buffers)
    fixed = [index for index in range(count) if buffers[index].offset is not None]
    obstacles = [
        sorted((buffers[k].offset or 0, (buffers[k].offset or 0) + buffers[k].size) for k in fixed if k in row)
        if fixed and buffer.offset is None
        else []
        for buffer, row in zip(buffers, shared, strict=True)
    ]
    rows = np.zeros(count + 1, BUFFER)
    rows["size"][:count] = [buffer.size for buffer in buffers]
    rows["alignment"][:count] = [buffer.alignment for buffer in buffers]
    rows["fixed"][:count] = [-1 if buffer.offset is None else buffer.offset for buffer in buffers]
    rows["neighbours"][1:] = np.cumsum([len(row) for row in shared])
    rows["sections"][1:] = np.cumsum(columns.sum(1))
    rows["obstacles"][1:] = np.cumsum([len(pairs) for pairs in obstacles])
    sections = np.zeros(columns.shape[1] + 1, SECTION)
    neighbours = np.concatenate(shared)
    flat = [pair for pairs in obstacles for pair in pairs]
    return State(
        buffers=rows,
        sections=sections,
        frames=np.zeros(count + 1, FRAME),
        items=np.arange(count, dtype=np.int64),
        component=np.zeros(count, np.int64),
        sorted=np.zeros(count, np.int64),
        raised=np.zeros((2 * len(neighbours) + 2 * count + 1, 3), np.int64),
        order=np.zeros(count, np.int64),
        neighbours=neighbours,
        members=np.nonzero(columns)[1].astype(np.int64),
        obstacles=np.array(flat, np.int64).reshape(len(flat), 2),
    )


def _neighbours(buffers: Sequence[Buffer]) -> list[Ints]:
    """For each buffer those that are live at a time at which it is, in order."""
    ranges = [(low, high, index) for index, buffer in enumerate(buffers) for low, high in buffer.live()]
    lows, highs, owners = np.array(ranges, np.int64).T
    found = []
    for index, buffer in enumerate(buffers):
        met = [owners[(lows < high) & (highs > low)] for low, high in buffer.live()]
        row = np.unique(np.concatenate(met))
        found.append(row[row != index])
    return found


def _maximal(columns: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Columns in which a live range has begun and one is about to end: all others are part of one of these."""
    edge = np.zeros((len(columns), 1), dtype=bool)
    before, after = np.hstack([edge, columns[:, :-1]]), np.hstack([columns[:, 1:], edge])
    found: npt.NDArray[np.int64] = np.nonzero((columns & ~before).any(0) & (columns & ~after).any(0))[0]
    return found
