"""Random moves from one plan to another, and annealing over them."""

from __future__ import annotations

from typing import Any

import numpy as np

from mallocgame.solvers.annealing.compiled import compiled, inner
from mallocgame.solvers.annealing.decide import (
    clear,
    commit,
    fetch,
    fits,
    fits_carried,
    fits_pinned,
    keep_conflict,
    made_stay,
    objective,
    pin,
    rollback,
    stay_of,
    stay_size,
)
from mallocgame.solvers.annealing.replay import refresh
from mallocgame.solvers.annealing.world import DRAINED, FETCHED, IDLE, IN_HBM, MADE, PINNED, STAYS, UNSERVED

UNIFORM_SHARE = 0.3
"""Share of the draws in which every group is equally likely; in the others it is its possible saving that counts."""

MOST_EVICTED = 12
"""Groups that may be put out of the way of one."""

EVICTION_DRAWS = 3
"""Groups among which the one that saves least a byte has to make way."""

REFILLS = 4
"""Groups that are tried in the space that another one has left."""

NO: Any = np.False_
YES: Any = np.True_
NONE: Any = np.int64(-1)
"""Arguments by name: numba compiles a function, and what it calls, once more for each literal that it is given."""

ENOUGH = 1 - 1e-9
"""A supply that reaches this share of the demand counts as enough, so that rounding never moves a start."""


@inner
def uniform(wd: Any) -> float:
    """A random number in [0, 1): SplitMix64 (Steele, Lea, Flood 2014), the upper 53 bits."""
    wd.scalars[0].random += np.int64(-7046029254386353131)
    z = np.uint64(wd.scalars[0].random)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) * 2.0**-53


@inner
def below(wd: Any, limit: int) -> int:
    """A random integer in [0, limit)."""
    return min(limit - 1, int(uniform(wd) * limit))


@inner
def enter(wd: Any, scratch: Any, group: int, force: bool) -> bool:
    """Bring a group that is in HBM into fast memory; by force, where others have to make way."""
    tensor = wd.groups[group].fetched
    if wd.groups[group].pinnable and (tensor < 0 or uniform(wd) < 0.7):
        return _enter_pinned(wd, group, force)
    if tensor < 0:
        return False
    _draw_servings(wd, scratch, tensor)
    return _enter_fetched(wd, scratch, group, force, NO)


@inner
def _enter_pinned(wd: Any, group: int, force: bool) -> bool:
    if not fits_pinned(wd, group):
        if not force:
            return False
        if not _make_way_in_spans(wd, group, wd.groups[group].span_first, wd.groups[group].span_end, 0):
            return False
    pin(wd, group)
    return _resolve(wd, group, force)


@inner
def _resolve(wd: Any, group: int, force: bool) -> bool:
    """Mend, by force, what the keep rule forbids beside a group, or take the group out again."""
    for _ in range(MOST_EVICTED):
        other = keep_conflict(wd, group)
        if other < 0:
            return True
        if not force or other == group:
            break
        clear(wd, other)
    clear(wd, group)
    return False


@inner
def _make_way(wd: Any, size: int, start: int, end: int) -> bool:
    """Clear groups until ``size`` bytes are free in the closed interval of times."""
    limit = wd.scalars[0].capacity - size
    time, cleared = start, 0
    while time <= end:
        if wd.used[time] <= limit:
            time += 1
            continue
        worst = NONE
        for _ in range(EVICTION_DRAWS):
            other = _resident_at(wd, time)
            if other >= 0 and (worst < 0 or _density(wd, other) < _density(wd, worst)):
                worst = other
        cleared += 1
        if worst < 0 or cleared > MOST_EVICTED:
            return False
        clear(wd, worst)
    return True


@inner
def _make_way_in_spans(wd: Any, group: int, first: int, end: int, since: int) -> bool:
    """Clear groups until this one's bytes are free in spans, as far as they are not before a time."""
    for span in range(first, end):
        if not _make_way(wd, wd.groups[group].size, max(since, wd.spans[span].start), wd.spans[span].end):
            return False
    return True


@compiled
def make_room(wd: Any) -> None:
    """Clear groups until everything fits into the capacity and beside one another."""
    for group in range(len(wd.groups)):
        _resolve(wd, group, NO)
    for time in range(len(wd.used)):
        while wd.used[time] > wd.scalars[0].capacity:
            group = _resident_at(wd, time)
            if group < 0:  # what instructions reserve is more than the capacity, if that has been made smaller
                break
            clear(wd, group)


@inner
def _density(wd: Any, group: int) -> float:
    return float(wd.groups[group].saving / (wd.groups[group].size + 1.0))


@inner
def _resident_at(wd: Any, time: int) -> int:
    """A group in fast memory at a time: the first one from a random place of the list on; -1 if there is none."""
    count = wd.scalars[0].residents
    start = below(wd, count)
    for step in range(count):
        group = wd.residents[(start + step) % count]
        if _is_there(wd, group, time):
            return int(group)
    return -1


@inner
def _is_there(wd: Any, group: int, time: int) -> bool:
    record = wd.groups[group]
    if record.kind == PINNED:
        return _in_spans(wd, record.span_first, record.span_end, time)
    tensor = wd.groups[group].fetched
    start = -1
    for serving in range(wd.tensors[tensor].serving_first, wd.tensors[tensor].serving_end):
        if wd.servings[serving].plan == UNSERVED:
            continue
        if wd.servings[serving].plan != STAYS:
            start = serving
        begin, until = stay_of(wd, start, serving)
        if begin <= time <= until:
            return True
        if wd.servings[serving].carries and _in_spans(wd, record.tail_span_first, record.tail_span_end, time):
            return True
    return False


@inner
def _in_spans(wd: Any, first: int, end: int, time: int) -> bool:
    """Whether a time is in one of some spans."""
    for span in range(first, end):  # noqa: SIM110 - numba compiles no generators
        if wd.spans[span].start <= time <= wd.spans[span].end:
            return True
    return False


@inner
def _draw_servings(wd: Any, wanted: Any, tensor: int) -> None:
    """Want all servings that can be fast, or one, or a run of them."""
    first = wd.tensors[tensor].serving_first
    count = wd.tensors[tensor].serving_end - first
    choice = uniform(wd)
    low, high = 0, count
    if choice >= 0.4:
        low = below(wd, count)
        high = low + 1 if choice < 0.7 else low + 1 + below(wd, count - low)
    any_wanted = False
    for number in range(count):
        wanted[number] = 1 if low <= number < high and wd.servings[first + number].earliest != UNSERVED else 0
        any_wanted |= wanted[number] == 1
    while not any_wanted:
        number = below(wd, count)
        if wd.servings[first + number].earliest != UNSERVED:
            wanted[number] = 1
            any_wanted = True


@inner
def _enter_fetched(wd: Any, pattern: Any, group: int, force: bool, drawn: bool) -> bool:
    """Serve what is wanted, each run of neighbours by one copy, or by having the product made in fast memory.

    Args:
        wd: the world.
        pattern: 1 for each wanted serving of the tensor, else 0; it is used up.
        group: a group in HBM.
        force: whether others have to make way.
        drawn: whether starts are drawn at random; else they are as late as idle time allows.
    """
    refresh(wd)
    tensor = wd.groups[group].fetched
    first = wd.tensors[tensor].serving_first
    count = wd.tensors[tensor].serving_end - first
    number, floor, there, served = 0, NONE, NONE, False
    while number < count:
        if pattern[number] != 1:
            pattern[number] = UNSERVED
            number += 1
            continue
        end = number + 1
        while end < count and pattern[end] == 1 and _together(wd, first + number, first + end):
            if wd.servings[first + end].far:
                break
            end += 1
        start = UNSERVED
        if wd.servings[first + number].earliest == MADE:
            end = min(end, count - 1)
            if uniform(wd) < 0.5:
                end = 1 + below(wd, end)
            if _can_make(wd, group, first + end - 1, force):
                start = MADE
        elif _until(wd, first + number) > there + 1 and _can_carry(wd, group, first + end - 1, force):
            start = _start(wd, first + number, first + end - 1, floor, force, drawn)
        for at in range(number, end):
            pattern[at] = UNSERVED if start == UNSERVED else STAYS
        if start != UNSERVED:
            pattern[number] = start
            served = True
            floor = _until(wd, first + end - 1)
            if start == MADE:
                floor = there = made_stay(wd, first + end - 1)[1]  # then it is in HBM (`is_directly_after`)
            if end < count and not wd.servings[first + end].far:
                pattern[end] = UNSERVED
                end += 1
        number = end
    if not served:
        return False
    fetch(wd, group, pattern)
    return _resolve(wd, group, force)


@inner
def _can_make(wd: Any, group: int, last: int, force: bool) -> bool:
    """Whether a product fits until its eviction after a serving; by force, where others have to make way."""
    begin, until = made_stay(wd, last)
    size = stay_size(wd, group, last)
    return bool(fits(wd, begin, until, size) or (force and _make_way(wd, size, begin, until)))


@inner
def _can_carry(wd: Any, group: int, serving: int, force: bool) -> bool:
    """Whether what a serving carries, if anything, fits; by force, where others have to make way."""
    if not wd.servings[serving].carries:
        return True
    until = _until(wd, serving)
    if fits_carried(wd, group, until):
        return True
    record = wd.groups[group]
    return force and _make_way_in_spans(wd, group, record.tail_span_first, record.tail_span_end, until + 1)


@inner
def _together(wd: Any, one: int, other: int) -> bool:
    """Whether one copy can serve both: they are in one computation."""
    return bool(wd.slots[wd.servings[one].before].computation == wd.slots[wd.servings[other].before].computation)


@inner
def _until(wd: Any, serving: int) -> int:
    """Time until which a copy stays for a serving."""
    return int(wd.slots[wd.servings[serving].before].time)


@inner
def _start(wd: Any, serving: int, last: int, floor: int, force: bool, drawn: bool) -> int:
    """The latest slot from which idle time suffices for a copy and its bytes are free, or the earliest possible one.

    Args:
        wd: the world, refreshed.
        serving: waits for the copy.
        last: the last serving of its stay.
        floor: the copy starts after the instruction at this time or later.
        force: whether others make way for the last start.
        drawn: whether to draw a slot among those whose bytes are free instead.

    Returns:
        The slot, or -1 where there is none.
    """
    tensor = wd.uses[wd.servings[serving].low].tensor
    group = wd.tensors[tensor].group
    size, until = stay_size(wd, group, last), _until(wd, last)
    low, slot = wd.servings[serving].earliest, wd.servings[serving].latest
    while low <= slot and wd.slots[low].time < floor:
        low += 1
    if low > slot or low < 0:
        return -1
    if not fits(wd, wd.slots[slot].time + 1, until, size) and not (
        force and _make_way(wd, size, wd.slots[slot].time + 1, until)
    ):
        return -1
    demand = wd.copies[serving].demand * ENOUGH
    scalars = wd.scalars[0]
    values = wd.values[0 if scalars.with_m and (not scalars.with_e or uniform(wd) < 0.5) else 1]
    supply, best = 0.0, slot
    while slot > low and fits(wd, wd.slots[slot - 1].time + 1, wd.slots[slot].time, size):
        if not drawn:
            supply += max(0.0, values[slot, IDLE] - values[slot, DRAINED])
            if supply >= demand:
                return int(slot - 1)
        slot -= 1
    if drawn:
        return int(slot + below(wd, best - slot + 1))
    return int(slot)


@inner
def _change(wd: Any, scratch: Any, groups: Any, cumulated: Any) -> None:
    """One random move; it may turn out to change nothing."""
    group = _draw(wd, groups, cumulated)
    kind, choice = wd.groups[group].kind, uniform(wd)
    if kind == IN_HBM:
        before = wd.scalars[0].residents
        if enter(wd, scratch, group, choice < 0.5) and choice < 0.5 and before >= wd.scalars[0].residents:
            _fill(wd, scratch, groups, cumulated)
    elif kind == FETCHED and choice < 0.6:
        _fetch_otherwise(wd, scratch, group, choice < 0.1)
    elif choice < 0.8:
        clear(wd, group)
        _fill(wd, scratch, groups, cumulated)
    else:
        clear(wd, group)
        enter(wd, scratch, group, YES)


@inner
def _fill(wd: Any, scratch: Any, groups: Any, cumulated: Any) -> None:
    """Try some groups that are in HBM in the space that is free."""
    for _ in range(REFILLS):
        group = _draw(wd, groups, cumulated)
        if wd.groups[group].kind == IN_HBM:
            enter(wd, scratch, group, NO)


@inner
def _fetch_otherwise(wd: Any, scratch: Any, group: int, force: bool) -> None:
    """A serving of a group more or less, or other starts."""
    tensor = wd.groups[group].fetched
    first = wd.tensors[tensor].serving_first
    count = wd.tensors[tensor].serving_end - first
    for number in range(count):
        scratch[number] = 0 if wd.servings[first + number].plan == UNSERVED else 1
    drawn = uniform(wd) < 0.5
    if not drawn or uniform(wd) < 0.3:
        number = below(wd, count)
        if wd.servings[first + number].earliest != UNSERVED:
            scratch[number] = 1 - scratch[number]
    clear(wd, group)
    _enter_fetched(wd, scratch, group, force, drawn)


@inner
def _draw(wd: Any, groups: Any, cumulated: Any) -> int:
    if uniform(wd) < UNIFORM_SHARE:
        return int(groups[below(wd, len(groups))])
    at = np.searchsorted(cumulated, uniform(wd) * cumulated[-1], side="right")
    return int(groups[min(at, len(groups) - 1)])


@compiled
def greedy(wd: Any, order: Any, goal: Any) -> float:
    """Bring in each group of the order that fits and makes the value no larger; returns the value.

    Args:
        wd: the world, committed.
        order: groups.
        goal: see `objective`.
    """
    scratch = np.zeros(len(wd.servings) + 1, np.int64)
    now = objective(wd, goal)
    for group in order:
        if wd.groups[group].pinnable and _enter_pinned(wd, group, NO):
            now = _keep_if_good(wd, goal, now)
        tensor = wd.groups[group].fetched
        if tensor >= 0 and wd.groups[group].kind == IN_HBM:
            for number in range(wd.tensors[tensor].serving_end - wd.tensors[tensor].serving_first):
                scratch[number] = wd.servings[wd.tensors[tensor].serving_first + number].earliest >= 0
            _enter_fetched(wd, scratch, group, NO, NO)
            now = _keep_if_good(wd, goal, now)
    return float(now)


@inner
def _keep_if_good(wd: Any, goal: Any, before: float) -> float:
    """Commit the last changes if the value is no larger than before, else take them back; returns the value."""
    value = objective(wd, goal)
    if value <= before:
        commit(wd)
        return float(value)
    rollback(wd)
    return before


@compiled
def anneal(
    wd: Any, groups: Any, cumulated: Any, goal: Any, heat: Any, best_kind: Any, best_plan: Any, steps: int
) -> float:
    """Some moves of one cooling.

    Args:
        wd: the world, committed.
        groups: ``[n]`` those that can be in fast memory.
        cumulated: ``[n]`` their weights, summed up.
        goal: ``[2, 3]`` weights and limits of the models and kernels, see `objective`.
        heat: ``[5]``: temperature, its factor a move, sum and number of the worsenings seen, best value so far.
        best_kind: ``[G]`` decisions of the best plan so far.
        best_plan: ``[V]`` likewise.
        steps: moves.

    Returns:
        The value of the last plan.
    """
    scratch = np.zeros(len(wd.servings) + 1, np.int64)
    now = objective(wd, goal)
    for _ in range(steps):
        _change(wd, scratch, groups, cumulated)
        value = objective(wd, goal)
        if value > now:
            heat[2] += value - now
            heat[3] += 1.0
        temperature = heat[0] * heat[2] / max(1.0, heat[3])
        if value <= now or uniform(wd) < np.exp((now - value) / max(temperature, 1e-300)):
            commit(wd)
            now = value
            if value < heat[4] * (1 - 1e-12):
                heat[4] = value
                best_kind[:] = wd.groups.kind
                best_plan[:] = wd.servings.plan
        else:
            rollback(wd)
        heat[0] *= heat[1]
    return now
