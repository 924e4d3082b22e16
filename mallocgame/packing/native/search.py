"""The exact search.

Sources: the canonical solutions, the inference over sections and the decomposition of M. D. Moffitt, "MiniMalloc: A
Lightweight Memory Allocator for Hardware-Accelerated Machine Learning" (ASPLOS 2023), from its description. The bound
of a section is that of one machine with release times (J. Carlier, "The one-machine sequencing problem", 1982).

A packing is *canonical* if no block alone could be moved to a lower offset. Moving blocks down ends in a canonical one,
so it is enough to look for those. In one, every block is either at its *head*, the lowest offset above all that has
been placed so far, or *blocked*: a neighbour that is placed later reaches into the head's bytes, and it is above that
one. Each node of the search takes one block that no neighbour can be below any more, and tries both.

Bounds: an unblocked block is at its head or above. A blocked one is above a neighbour that can reach into its head's
bytes; if there is none, the node has no solution. In each section, for each h: the blocks with a bound of at least h
need h and the sum of their sizes. Components: where no block that is left crosses a time, both sides are solved one
after the other, and a failure of the second does not search the first again. Table: what a node can do depends on its
blocks, their heads and blocks alone, so states that failed are kept by hash and not searched twice, nor in restarts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mallocgame.packing.native.compiled import inner
from mallocgame.packing.native.layout import (
    ABOVE,
    BEGIN,
    BELOW,
    BLOCKED,
    BOUND,
    CHOICE,
    END,
    EXHAUSTED,
    FEWEST,
    FIRST,
    FIXED,
    FLOOR,
    FOUND,
    HEAD,
    HIGH,
    KEY,
    LIMIT,
    LOAD,
    LOW,
    LOWEST,
    NEIGHBOURS,
    NEXT,
    NODES,
    ORDER,
    ORDER_BEFORE,
    PLACED,
    PRIORITY,
    RAISED,
    RAISED_BEFORE,
    RUNS,
    SCORE,
    SIZE,
    STOP,
    STOPPED,
    ZERO,
)
from mallocgame.packing.native.lift import lift

_INFINITE = 1 << 60
_SLACK_BITS = 40
"""A score is a count of blocks, then so many bits of the section's slack."""


@inner
def search(a: Any, capacity: int, strategy: int) -> int:
    """Search from a cleared state (`clear`) with LOWEST or FEWEST. FOUND leaves each block's offset in its head."""
    frames, component, counters = a.frames, a.component, a.counters
    depth = ZERO
    if not _enter(a, depth, ZERO, a.items.shape[1]):
        return EXHAUSTED
    while True:
        counters[0, NODES] += 1
        if counters[0, NODES] > counters[0, LIMIT] or counters[0, STOP]:
            return STOPPED
        if not _decide(a, depth, capacity, strategy):
            _remember(a, frames[KEY, depth])
            _rewind(a, frames[RAISED_BEFORE, depth], frames[ORDER_BEFORE, depth])
            depth -= 1
            if depth < 0:
                return EXHAUSTED
            _refuse(a, depth)
            continue
        low, high = frames[NEXT, depth], frames[HIGH, depth]
        if low < high and component[0, low] != component[0, high - 1] and not _bound_each(a, low, high, capacity):
            _refuse(a, depth)
            continue
        while depth >= 0 and frames[NEXT, depth] == frames[HIGH, depth]:
            depth -= 1
        if depth < 0:
            return FOUND
        low = frames[NEXT, depth]
        end = _component_end(a, low, frames[HIGH, depth])
        frames[NEXT, depth] = end
        if _enter(a, depth + 1, low, end):
            depth += 1
        else:
            _refuse(a, depth)


@inner
def clear(a: Any) -> None:
    """Place nothing."""
    blocks = a.blocks
    a.counters[0, RAISED] = 0
    a.counters[0, ORDER] = 0
    for i in range(a.items.shape[1]):
        a.items[0, i] = i
        b = a.items[0, i]
        blocks[PLACED, b] = 0
        blocks[BLOCKED, b] = 0
        blocks[HEAD, b] = blocks[FIXED, b] if blocks[FIXED, b] >= 0 else lift(a, b, ZERO)


@inner
def _enter(a: Any, depth: int, low: int, high: int) -> bool:
    """Begin the node of ``items[low:high]`` at a depth, unless its state is known to fail."""
    blocks, frames, items, table = a.blocks, a.frames, a.items, a.table
    key = np.uint64(0)
    for i in range(low, high):
        b = items[0, i]
        key += _mix(_mix(np.uint64(b)) ^ np.uint64(2 * blocks[HEAD, b] + blocks[BLOCKED, b]))
    key |= np.uint64(1)
    if table[0, (key >> np.uint64(1)) & np.uint64(table.shape[1] - 1)] == key:
        return False
    frames[LOW, depth] = low
    frames[HIGH, depth] = high
    frames[RAISED_BEFORE, depth] = a.counters[0, RAISED]
    frames[ORDER_BEFORE, depth] = a.counters[0, ORDER]
    frames[KEY, depth] = np.int64(key)
    return True


@inner
def _remember(a: Any, key: int) -> None:
    """The state of this key has no solution."""
    a.table[0, (np.uint64(key) >> np.uint64(1)) & np.uint64(a.table.shape[1] - 1)] = np.uint64(key)


@inner
def _mix(value: Any) -> Any:
    """A bijection of 64 bits that spreads each of them (the finaliser of SplitMix64, with its increment)."""
    value += np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@inner
def _decide(a: Any, depth: int, capacity: int, strategy: int) -> bool:
    """Place one block of the node and split the rest into components; False if the node has no solution."""
    frames, items = a.frames, a.items
    low, high = frames[LOW, depth], frames[HIGH, depth]
    first, end = _span(a, low, high)
    if not _bound(a, low, high, first, end, capacity):
        return False
    best = _score(a, low, high, first, end, capacity, strategy)
    chosen = _choose(a, low, high, best, capacity)
    if chosen < 0:
        return False
    b = items[0, chosen]
    for i in range(chosen, low, -1):
        items[0, i] = items[0, i - 1]
    items[0, low] = b
    frames[CHOICE, depth] = a.counters[0, RAISED]
    frames[NEXT, depth] = low + 1
    _place(a, b)
    _split(a, low + 1, high)
    return True


@inner
def _component_end(a: Any, low: int, high: int) -> int:
    """The place in ``items`` after the component that begins at ``low``."""
    end = low + 1
    while end < high and a.component[0, end] == a.component[0, low]:
        end += 1
    return end


@inner
def _bound_each(a: Any, low: int, high: int, capacity: int) -> bool:
    """Whether the bounds of each component of ``items[low:high]`` leave a solution."""
    while low < high:
        after = _component_end(a, low, high)
        first, end = _span(a, low, after)
        if not _bound(a, low, after, first, end, capacity):
            return False
        low = after
    return True


@inner
def _span(a: Any, low: int, high: int) -> tuple[int, int]:
    """The first section of ``items[low:high]``, and the first after their last one."""
    items, spans, starts = a.items, a.spans, a.starts
    first, end = _INFINITE, 0
    for i in range(low, high):
        b = items[0, i]
        first = min(first, spans[FIRST, starts[RUNS, b]])
        end = max(end, spans[END, starts[RUNS, b + 1] - 1])
    return first, end


@inner
def _bound(a: Any, low: int, high: int, first: int, end: int, capacity: int) -> bool:
    """Bounds of ``items[low:high]``, by which they are sorted then, and loads and floors of their sections.

    These are in ``[first, end)``. False if they leave no solution.
    """
    blocks, items, spans, sizes, sections, starts = a.blocks, a.items, a.spans, a.sizes, a.sections, a.starts
    if not _bound_blocked(a, low, high):
        return False
    for i in range(low, high):
        b = items[0, i]
        if blocks[BOUND, b] + blocks[SIZE, b] > capacity:
            return False
    for s in range(first, end):
        sections[LOAD, s] = 0
    _sort(a, low, high)
    for i in range(low, high):
        b = items[0, i]
        bound = blocks[BOUND, b]
        highest = 0
        for k in range(starts[RUNS, b], starts[RUNS, b + 1]):
            size = sizes[0, k]
            for s in range(spans[FIRST, k], spans[END, k]):
                load = sections[LOAD, s] + size
                sections[LOAD, s] = load
                sections[FLOOR, s] = bound
                highest = max(highest, load)
        if highest + bound > capacity:
            return False
    return True


@inner
def _bound_blocked(a: Any, low: int, high: int) -> bool:
    """Bounds from heads, and for blocked ones from the neighbours that can be below them, until none changes."""
    blocks, items, neighbours, rooms, starts = a.blocks, a.items, a.neighbours, a.rooms, a.starts
    open_ = 0
    for i in range(low, high):
        b = items[0, i]
        blocks[BOUND, b] = blocks[HEAD, b]
        if blocks[BLOCKED, b]:
            if blocks[FIXED, b] >= 0:
                return False
            blocks[BOUND, b] = _INFINITE
            open_ += 1
    changed = open_ > 0
    while changed:
        changed = False
        for i in range(low, high):
            b = items[0, i]
            if not blocks[BLOCKED, b]:
                continue
            head, best = blocks[HEAD, b], blocks[BOUND, b]
            for k in range(starts[NEIGHBOURS, b], starts[NEIGHBOURS, b + 1]):
                bound = blocks[BOUND, neighbours[0, k]]
                if bound < head + rooms[BELOW, k]:
                    best = min(best, bound + rooms[ABOVE, k])
            if best < blocks[BOUND, b]:
                best = lift(a, b, best)
                if best < blocks[BOUND, b]:
                    blocks[BOUND, b] = best
                    changed = True
    return True


@inner
def _sort(a: Any, low: int, high: int) -> None:
    """Sort ``items[low:high]`` by falling bound (Shell's sort: they nearly are)."""
    blocks, items = a.blocks, a.items
    gap = 1
    while gap < (high - low) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(low + gap, high):
            b = items[0, i]
            bound = blocks[BOUND, b]
            k = i - gap
            while k >= low and blocks[BOUND, items[0, k]] < bound:
                items[0, k + gap] = items[0, k]
                k -= gap
            items[0, k + gap] = b
        gap //= 3


@inner
def _score(a: Any, low: int, high: int, first: int, end: int, capacity: int, strategy: int) -> int:
    """Scores of the sections of ``items[low:high]``, whose bounds, loads and floors are known; the smallest one."""
    blocks, items, spans, sections, starts = a.blocks, a.items, a.spans, a.sections, a.starts
    shift = 0
    while capacity >> shift >= 1 << _SLACK_BITS:
        shift += 1
    for s in range(first, end):
        slack = (capacity - sections[LOAD, s] - sections[FLOOR, s]) >> shift
        sections[SCORE, s] = slack if strategy == FEWEST else 0
    if strategy == LOWEST:
        return 0
    for i in range(low, high):
        b = items[0, i]
        most = capacity - blocks[BOUND, b]
        for k in range(starts[RUNS, b], starts[RUNS, b + 1]):
            for s in range(spans[FIRST, k], spans[END, k]):
                sections[SCORE, s] += np.int64(sections[LOAD, s] <= most) << np.int64(_SLACK_BITS)
    best = _NONE
    for s in range(first, end):
        best = min(best, sections[SCORE, s])
    return best


@inner
def _choose(a: Any, low: int, high: int, best: int, capacity: int) -> int:
    """The place in ``items``, which are sorted by falling bound, of the block to decide on, or -1.

    It is one that can be the lowest in a section of the smallest score, which is ``best`` at least; of those the one
    with the lowest head, then the one with the largest priority; and no neighbour can be below it.
    """
    blocks, items, spans, sections, starts = a.blocks, a.items, a.spans, a.sections, a.starts
    chosen = -1
    best_score, best_head, best_priority = _NONE, _INFINITE, 0
    for i in range(high - 1, low - 1, -1):
        b = items[0, i]
        if blocks[BLOCKED, b]:
            continue
        head, priority = blocks[HEAD, b], blocks[PRIORITY, b]
        if best_score == best and head > best_head:
            break
        score = _NONE
        for k in range(starts[RUNS, b], starts[RUNS, b + 1]):
            for s in range(spans[FIRST, k], spans[END, k]):
                own = sections[SCORE, s] if head + sections[LOAD, s] <= capacity else _NONE
                score = min(score, own)
        if score > best_score or (score == best_score and head > best_head):
            continue
        if score == best_score and head == best_head and priority <= best_priority:
            continue
        if _is_lowest(a, b):
            chosen, best_score, best_head, best_priority = i, score, head, priority
    return chosen


_NONE = (1 << 63) - 1
"""The score where a block cannot be the lowest."""


@inner
def _is_lowest(a: Any, b: int) -> bool:
    """Whether no neighbour that is not placed fits below the head of a block."""
    blocks, neighbours, rooms, starts = a.blocks, a.neighbours, a.rooms, a.starts
    for k in range(starts[NEIGHBOURS, b], starts[NEIGHBOURS, b + 1]):
        if blocks[BOUND, neighbours[0, k]] + rooms[ABOVE, k] <= blocks[HEAD, b]:
            return False
    return True


@inner
def _place(a: Any, b: int) -> None:
    """Place a block at its head and raise the heads of its neighbours."""
    blocks, counters, neighbours, rooms, starts = a.blocks, a.counters, a.neighbours, a.rooms, a.starts
    blocks[PLACED, b] = 1
    blocks[BOUND, b] = _INFINITE
    a.order[0, counters[0, ORDER]] = b
    counters[0, ORDER] += 1
    for k in range(starts[NEIGHBOURS, b], starts[NEIGHBOURS, b + 1]):
        c = neighbours[0, k]
        end = blocks[HEAD, b] + rooms[BELOW, k]
        if not blocks[PLACED, c] and blocks[HEAD, c] < end and blocks[FIXED, c] < 0:
            _keep(a, c)
            blocks[HEAD, c] = lift(a, c, end)
            blocks[BLOCKED, c] = 0


@inner
def _keep(a: Any, b: int) -> None:
    """Write a block's head and whether it is blocked to the trail."""
    blocks, raised = a.blocks, a.raised
    place = a.counters[0, RAISED]
    raised[0, place] = b
    raised[1, place] = blocks[HEAD, b]
    raised[2, place] = blocks[BLOCKED, b]
    a.counters[0, RAISED] = place + 1


@inner
def _rewind(a: Any, raised_length: int, order_length: int) -> None:
    """Undo until the trails have these lengths."""
    blocks, raised, order, counters = a.blocks, a.raised, a.order, a.counters
    while counters[0, RAISED] > raised_length:
        counters[0, RAISED] -= 1
        place = counters[0, RAISED]
        blocks[HEAD, raised[0, place]] = raised[1, place]
        blocks[BLOCKED, raised[0, place]] = raised[2, place]
    while counters[0, ORDER] > order_length:
        counters[0, ORDER] -= 1
        blocks[PLACED, order[0, counters[0, ORDER]]] = 0


@inner
def _refuse(a: Any, depth: int) -> None:
    """The node's block cannot be at its head: undo that, and it is blocked from here."""
    _rewind(a, a.frames[CHOICE, depth], a.frames[ORDER_BEFORE, depth])
    b = a.items[0, a.frames[LOW, depth]]
    _keep(a, b)
    a.blocks[BLOCKED, b] = 1


@inner
def _split(a: Any, low: int, high: int) -> None:
    """Sort ``items[low:high]`` by component; one of several runs connects all sections between."""
    sections, items, component, spans, starts = a.sections, a.items, a.component, a.spans, a.starts
    first, end = _span(a, low, high)
    for s in range(first, end):
        sections[BEGIN, s] = 0
    for i in range(low, high):
        b = items[0, i]
        sections[BEGIN, spans[FIRST, starts[RUNS, b]]] += 1
        sections[BEGIN, spans[END, starts[RUNS, b + 1] - 1] - 1] -= 1
    number = crossing = 0
    for s in range(first, end):
        crossing += sections[BEGIN, s]
        sections[BEGIN, s] = number
        if crossing == 0:
            number += 1
    for i in range(low, high):
        component[0, i] = sections[BEGIN, spans[FIRST, starts[RUNS, items[0, i]]]]
    if number <= 1:
        return
    for i in range(low + 1, high):
        b, own = items[0, i], component[0, i]
        k = i - 1
        while k >= low and component[0, k] > own:
            items[0, k + 1], component[0, k + 1] = items[0, k], component[0, k]
            k -= 1
        items[0, k + 1], component[0, k + 1] = b, own
