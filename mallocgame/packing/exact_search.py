"""The exact search, compiled to native code.

Sources: the canonical solutions, the inference over sections and the decomposition of M. D. Moffitt, "MiniMalloc: A
Lightweight Memory Allocator for Hardware-Accelerated Machine Learning" (ASPLOS 2023), from its description. The bound
of a section is that of one machine with release times (J. Carlier, "The one-machine sequencing problem", 1982).

A packing is *canonical* if no buffer alone could be moved to a lower offset. Moving buffers down ends in a canonical
one, so it is enough to look for those. In one, every buffer is either at its *head*, the lowest offset above all that
has been placed so far, or *blocked*: a neighbour that is placed later reaches into the head's bytes, and it is above
that one. Each node of the search takes one buffer that no neighbour can be below any more, and tries both.

Bounds: an unblocked buffer is at its head or above. A blocked one is above a neighbour that can reach into its head's
bytes; if there is none, the node has no solution. In each section, for each h: the buffers with a bound of at least h
need h and the sum of their sizes. Components: where no buffer that is left crosses a time, both sides are solved one
after the other, and a failure of the second does not search the first again. Table: what a node can do depends on its
buffers, their heads and blocks alone, so states that failed are kept by hash and not searched twice, nor in restarts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mallocgame.system.machine_code import machine_code

EXHAUSTED, FOUND, STOPPED = 0, 1, 2
LOWEST, FEWEST = 0, 1
"""Where the search goes on: at the lowest head, or in the section where the fewest buffers can be the lowest."""
NODES, LIMIT, RAISED, ORDER, STOP = 0, 1, 2, 3, 4
"""The counters: nodes so far, how many are allowed, lengths of the two trails, 1 to stop from another thread."""
COUNTERS = 5

_INFINITE = 1 << 60


@machine_code
def search(state: Any, table: Any, counters: Any, capacity: int, strategy: int) -> int:
    """Search from a cleared state (`clear`). FOUND leaves each buffer's offset in its head.

    Args:
        state: a `State` as a tuple.
        table: ``[a power of 2]`` uint64: hashes of states that have no solution within this capacity.
        counters: ``[COUNTERS]`` int64.
        capacity: bytes.
        strategy: LOWEST or FEWEST.
    """
    frames, items, component = state[2], state[3], state[4]
    depth = 0
    if not _enter(state, table, counters, depth, 0, len(items)):
        return EXHAUSTED
    while True:
        counters[NODES] += 1
        if counters[NODES] > counters[LIMIT] or counters[STOP]:
            return STOPPED
        if not _decide(state, counters, depth, capacity, strategy):
            _remember(table, frames[depth].key)
            _rewind(state, counters, frames[depth].raised, frames[depth].order)
            depth -= 1
            if depth < 0:
                return EXHAUSTED
            _refuse(state, counters, depth)
            continue
        low, high = frames[depth].next, frames[depth].high
        if low < high and component[low] != component[high - 1] and not _bound(state, low, high, capacity):
            _refuse(state, counters, depth)
            continue
        while depth >= 0 and frames[depth].next == frames[depth].high:
            depth -= 1
        if depth < 0:
            return FOUND
        low, high = frames[depth].next, frames[depth].high
        end = low + 1
        while end < high and component[end] == component[low]:
            end += 1
        frames[depth].next = end
        if _enter(state, table, counters, depth + 1, low, end):
            depth += 1
        else:
            _refuse(state, counters, depth)


@machine_code
def clear(state: Any, counters: Any) -> None:
    """Place nothing."""
    buffers, items, obstacles = state[0], state[3], state[10]
    counters[RAISED] = 0
    counters[ORDER] = 0
    for b in range(len(items)):
        items[b] = b
        buffers[b].placed = 0
        buffers[b].blocked = 0
        buffers[b].head = buffers[b].fixed if buffers[b].fixed >= 0 else _lift(buffers, obstacles, b, 0)


@machine_code
def _enter(state: Any, table: Any, counters: Any, depth: int, low: int, high: int) -> bool:
    """Begin the node of ``items[low:high]`` at a depth, unless its state is known to fail."""
    buffers, frames, items = state[0], state[2], state[3]
    key = np.uint64(0)
    for i in range(low, high):
        b = items[i]
        key += _mix(_mix(np.uint64(b)) ^ np.uint64(2 * buffers[b].head + buffers[b].blocked))
    key |= np.uint64(1)
    if table[np.int64(key >> np.uint64(1)) & np.int64(len(table) - 1)] == key:
        return False
    frames[depth].low = low
    frames[depth].high = high
    frames[depth].raised = counters[RAISED]
    frames[depth].order = counters[ORDER]
    frames[depth].key = key
    return True


@machine_code
def _remember(table: Any, key: Any) -> None:
    """The state of this key has no solution."""
    table[np.int64(key >> np.uint64(1)) & np.int64(len(table) - 1)] = key


@machine_code
def _mix(value: Any) -> Any:
    """A bijection of 64 bits that spreads each of them (the finaliser of SplitMix64, with its increment)."""
    value += np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@machine_code
def _decide(state: Any, counters: Any, depth: int, capacity: int, strategy: int) -> bool:
    """Place one buffer of the node and split the rest into components; False if the node has no solution."""
    frames, items = state[2], state[3]
    low, high = frames[depth].low, frames[depth].high
    if not _bound(state, low, high, capacity):
        return False
    _score(state, low, high, capacity, strategy)
    chosen = _choose(state, low, high, capacity)
    if chosen < 0:
        return False
    b = items[chosen]
    items[chosen] = items[low]
    items[low] = b
    frames[depth].choice = counters[RAISED]
    frames[depth].next = low + 1
    _place(state, counters, b)
    _split(state, low + 1, high)
    return True


@machine_code
def _bound(state: Any, low: int, high: int, capacity: int) -> bool:
    """Bounds of ``items[low:high]``, loads and floors of their sections; False if they leave no solution."""
    buffers, sections, items, members = state[0], state[1], state[3], state[9]
    if not _bound_blocked(state, low, high):
        return False
    for i in range(low, high):
        b = items[i]
        if buffers[b].bound + buffers[b].size > capacity:
            return False
        for k in range(buffers[b].sections, buffers[b + 1].sections):
            sections[members[k]].load = 0
    ordered = _sort(state, low, high)
    for i in range(low, high):
        b = ordered[i]
        size, bound = buffers[b].size, buffers[b].bound
        for k in range(buffers[b].sections, buffers[b + 1].sections):
            s = members[k]
            load = sections[s].load + size
            if load + bound > capacity:
                return False
            sections[s].load = load
            sections[s].floor = bound
    return True


@machine_code
def _bound_blocked(state: Any, low: int, high: int) -> bool:
    """Bounds from heads, and for blocked buffers from the neighbours that can be below them, until none changes."""
    buffers, items, neighbours, obstacles = state[0], state[3], state[8], state[10]
    open_ = 0
    for i in range(low, high):
        b = items[i]
        buffers[b].bound = buffers[b].head
        if buffers[b].blocked:
            if buffers[b].fixed >= 0:
                return False
            buffers[b].bound = _INFINITE
            open_ += 1
    changed = open_ > 0
    while changed:
        changed = False
        for i in range(low, high):
            b = items[i]
            if not buffers[b].blocked:
                continue
            end = buffers[b].head + buffers[b].size
            best = buffers[b].bound
            for k in range(buffers[b].neighbours, buffers[b + 1].neighbours):
                c = neighbours[k]
                if not buffers[c].placed and buffers[c].bound < end and buffers[c].bound + buffers[c].size < best:
                    best = buffers[c].bound + buffers[c].size
            if best < buffers[b].bound:
                best = _lift(buffers, obstacles, b, best)
                if best < buffers[b].bound:
                    buffers[b].bound = best
                    changed = True
    return True


@machine_code
def _sort(state: Any, low: int, high: int) -> Any:
    """The buffers of ``items[low:high]`` in the same places of another array, by falling bound (Shell's sort)."""
    buffers, items, ordered = state[0], state[3], state[5]
    ordered[low:high] = items[low:high]
    gap = 1
    while gap < (high - low) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(low + gap, high):
            b = ordered[i]
            bound = buffers[b].bound
            k = i - gap
            while k >= low and buffers[ordered[k]].bound < bound:
                ordered[k + gap] = ordered[k]
                k -= gap
            ordered[k + gap] = b
        gap //= 3
    return ordered


@machine_code
def _score(state: Any, low: int, high: int, capacity: int, strategy: int) -> None:
    """Scores of the sections of ``items[low:high]``, whose bounds, loads and floors are known."""
    buffers, sections, items, members = state[0], state[1], state[3], state[9]
    for i in range(low, high):
        b = items[i]
        for k in range(buffers[b].sections, buffers[b + 1].sections):
            s = members[k]
            slack = capacity - sections[s].load - sections[s].floor
            sections[s].score = slack / (capacity + 1.0) if strategy == FEWEST else 0.0
    if strategy == LOWEST:
        return
    for i in range(low, high):
        b = items[i]
        for k in range(buffers[b].sections, buffers[b + 1].sections):
            s = members[k]
            if buffers[b].bound + sections[s].load <= capacity:
                sections[s].score += 1.0


@machine_code
def _choose(state: Any, low: int, high: int, capacity: int) -> int:
    """The place in ``items`` of the buffer to decide on, or -1.

    It is one that can be the lowest in a section of the smallest score; of those the one with the lowest head, then the
    one with the largest priority; and no neighbour can be below it.
    """
    buffers, sections, items, members = state[0], state[1], state[3], state[9]
    chosen = -1
    best_score, best_head, best_priority = np.inf, _INFINITE, 0.0
    for i in range(low, high):
        b = items[i]
        if buffers[b].blocked:
            continue
        head, priority = buffers[b].head, buffers[b].priority
        score = 1e300
        for k in range(buffers[b].sections, buffers[b + 1].sections):
            s = members[k]
            if head + sections[s].load <= capacity and sections[s].score < score:
                score = sections[s].score
        if score > best_score or (score == best_score and head > best_head):
            continue
        if score == best_score and head == best_head and priority <= best_priority:
            continue
        if _is_lowest(state, b):
            chosen, best_score, best_head, best_priority = i, score, head, priority
    return chosen


@machine_code
def _is_lowest(state: Any, b: int) -> bool:
    """Whether no neighbour that is not placed fits below the head of a buffer."""
    buffers, neighbours = state[0], state[8]
    for k in range(buffers[b].neighbours, buffers[b + 1].neighbours):
        c = neighbours[k]
        if not buffers[c].placed and buffers[c].bound + buffers[c].size <= buffers[b].head:
            return False
    return True


@machine_code
def _place(state: Any, counters: Any, b: int) -> None:
    """Place a buffer at its head and raise the heads of its neighbours."""
    buffers, order, neighbours, obstacles = state[0], state[7], state[8], state[10]
    buffers[b].placed = 1
    order[counters[ORDER]] = b
    counters[ORDER] += 1
    end = buffers[b].head + buffers[b].size
    for k in range(buffers[b].neighbours, buffers[b + 1].neighbours):
        c = neighbours[k]
        if not buffers[c].placed and buffers[c].head < end and buffers[c].fixed < 0:
            _keep(state, counters, c)
            buffers[c].head = _lift(buffers, obstacles, c, end)
            buffers[c].blocked = 0


@machine_code
def _lift(buffers: Any, obstacles: Any, b: int, offset: int) -> int:
    """The lowest offset of a buffer, not below the given one, that is aligned and clear of its fixed neighbours."""
    alignment = buffers[b].alignment
    offset = (offset + alignment - 1) // alignment * alignment
    for k in range(buffers[b].obstacles, buffers[b + 1].obstacles):
        if offset < obstacles[k, 1] and offset + buffers[b].size > obstacles[k, 0]:
            offset = (obstacles[k, 1] + alignment - 1) // alignment * alignment
    return offset


@machine_code
def _keep(state: Any, counters: Any, b: int) -> None:
    """Write a buffer's head and block to the trail."""
    buffers, raised = state[0], state[6]
    place = counters[RAISED]
    raised[place, 0] = b
    raised[place, 1] = buffers[b].head
    raised[place, 2] = buffers[b].blocked
    counters[RAISED] = place + 1


@machine_code
def _rewind(state: Any, counters: Any, raised_length: int, order_length: int) -> None:
    """Undo until the trails have these lengths."""
    buffers, raised, order = state[0], state[6], state[7]
    while counters[RAISED] > raised_length:
        counters[RAISED] -= 1
        place = counters[RAISED]
        buffers[raised[place, 0]].head = raised[place, 1]
        buffers[raised[place, 0]].blocked = raised[place, 2]
    while counters[ORDER] > order_length:
        counters[ORDER] -= 1
        buffers[order[counters[ORDER]]].placed = 0


@machine_code
def _refuse(state: Any, counters: Any, depth: int) -> None:
    """The node's buffer cannot be at its head: undo that, and it is blocked from here."""
    buffers, frames, items = state[0], state[2], state[3]
    _rewind(state, counters, frames[depth].choice, frames[depth].order)
    b = items[frames[depth].low]
    _keep(state, counters, b)
    buffers[b].blocked = 1


@machine_code
def _split(state: Any, low: int, high: int) -> None:
    """Sort ``items[low:high]`` by component; a buffer with gaps connects all sections from its first to its last."""
    buffers, sections, items, component, members = state[0], state[1], state[3], state[4], state[9]
    first, last = _INFINITE, -1
    for i in range(low, high):
        b = items[i]
        first = min(first, members[buffers[b].sections])
        last = max(last, members[buffers[b + 1].sections - 1])
    for s in range(first, last + 1):
        sections[s].begin = 0
    for i in range(low, high):
        b = items[i]
        sections[members[buffers[b].sections]].begin += 1
        sections[members[buffers[b + 1].sections - 1]].begin -= 1
    number = crossing = 0
    for s in range(first, last + 1):
        crossing += sections[s].begin
        sections[s].begin = number
        if crossing == 0:
            number += 1
    for i in range(low, high):
        component[i] = sections[members[buffers[items[i]].sections]].begin
    if number <= 1:
        return
    for i in range(low + 1, high):
        b, own = items[i], component[i]
        k = i - 1
        while k >= low and component[k] > own:
            items[k + 1], component[k + 1] = items[k], component[k]
            k -= 1
        items[k + 1], component[k + 1] = b, own


@machine_code
def first_fit(state: Any, order: Any, capacity: int) -> int:
    """Place each buffer in turn at the lowest free offset, which is left in its head; the largest offset + size.

    Args:
        state: a `State` as a tuple.
        order: ``[n]`` buffers, the fixed ones first.
        capacity: bytes; what would end above is left out (not ``placed``), unless it is fixed.
    """
    buffers, neighbours, obstacles = state[0], state[8], state[10]
    for b in order:
        buffers[b].placed = 0
    height = 0
    for b in order:
        offset = buffers[b].fixed if buffers[b].fixed >= 0 else _lift(buffers, obstacles, b, 0)
        moved = buffers[b].fixed < 0
        while moved:
            moved = False
            for k in range(buffers[b].neighbours, buffers[b + 1].neighbours):
                c = neighbours[k]
                end = buffers[c].head + buffers[c].size
                if buffers[c].placed and offset < end and offset + buffers[b].size > buffers[c].head:
                    offset = _lift(buffers, obstacles, b, end)
                    moved = True
        if offset + buffers[b].size > capacity and buffers[b].fixed < 0:
            continue
        buffers[b].head = offset
        buffers[b].placed = 1
        height = max(height, offset + buffers[b].size)
    return height
