"""Changes of a plan, group by group: what they occupy, which copies they queue, and how to take them back."""

from __future__ import annotations

from typing import Any

from mallocgame.models.cycles.sites import MAX_SITES
from mallocgame.solvers.annealing.compiled import compiled, inner
from mallocgame.solvers.annealing.replay import clean, refresh, replay_whole, touch
from mallocgame.solvers.annealing.world import FETCHED, IN_HBM, MADE, PINNED, STAYS, TOTAL, UNSERVED

PENALTY = 20.0
"""How much more a second above a model's limit counts than one below it: no gain of the other model makes up for it."""


@compiled
def objective(wd: Any, goal: Any) -> float:
    """What is to be small, of a state that this refreshes: weighted seconds, more above a limit; and kernels.

    Args:
        wd: the world.
        goal: ``[2, 3]``: weights of M, E and a kernel; the seconds that each model should stay within, or infinity, and
            how many kernels do not count.
    """
    refresh(wd)
    entry = len(wd.computations) - 1
    value = 0.0
    if wd.scalars[0].with_m:
        seconds = wd.sums[0, TOTAL, entry]
        value += goal[0, 0] * (seconds + PENALTY * max(0.0, seconds - goal[1, 0]))
    if wd.scalars[0].with_e:
        seconds = wd.sums[1, TOTAL, entry]
        value += goal[0, 1] * (seconds + PENALTY * max(0.0, seconds - goal[1, 1]))
    value += goal[0, 2] * max(0.0, wd.scalars[0].kernels - goal[1, 2])
    return float(value)


@compiled
def commit(wd: Any) -> None:
    """Keep all changes since the last commit."""
    scalars = wd.scalars[0]
    for number in range(scalars.changed):
        wd.groups[wd.changed[number]].changed = False
    scalars.changed = 0
    scalars.journal = 0
    scalars.journal_lost = False


@compiled
def rollback(wd: Any) -> None:
    """Undo all changes since the last commit."""
    scalars = wd.scalars[0]
    for number in range(scalars.changed):
        clear(wd, wd.changed[number])
    for number in range(scalars.changed):
        _restore(wd, wd.changed[number])
    clean(wd)
    if scalars.journal_lost:
        replay_whole(wd)
    else:
        values, sums = wd.values.reshape(-1), wd.sums.reshape(-1)
        for number in range(scalars.journal - 1, -1, -1):
            at = wd.journal[number].at
            if at < len(values):
                values[at] = wd.journal[number].old
            else:
                sums[at - len(values)] = wd.journal[number].old
    commit(wd)


@inner
def _restore(wd: Any, group: int) -> None:
    """Make a group that is in HBM what it was at the last commit."""
    record = wd.groups[group]
    if record.kind_old == PINNED:
        _pin(wd, group, True)
    elif record.kind_old == FETCHED:
        tensor = wd.tensors[record.fetched]
        for serving in range(tensor.serving_first, tensor.serving_end):
            wd.servings[serving].plan = wd.servings[serving].plan_old
        _fetch(wd, group, True)


@compiled
def clear(wd: Any, group: int) -> None:
    """Put a group into HBM."""
    kind = wd.groups[group].kind
    if kind == IN_HBM:
        return
    _note(wd, group)
    if kind == PINNED:
        _pin(wd, group, False)
    else:
        _fetch(wd, group, False)
        tensor = wd.tensors[wd.groups[group].fetched]
        for serving in range(tensor.serving_first, tensor.serving_end):
            wd.servings[serving].plan = UNSERVED


@compiled
def pin(wd: Any, group: int) -> None:
    """Pin a group that is in HBM; the caller knows that it may be and fits."""
    _note(wd, group)
    _pin(wd, group, True)


@compiled
def fetch(wd: Any, group: int, pattern: Any) -> None:
    """Serve a group that is in HBM by prefetches.

    Args:
        wd: the world.
        group: the group.
        pattern: for each serving of its tensor what its ``plan`` is to be; the caller knows that it fits.
    """
    _note(wd, group)
    tensor = wd.tensors[wd.groups[group].fetched]
    for number in range(tensor.serving_end - tensor.serving_first):
        wd.servings[tensor.serving_first + number].plan = pattern[number]
    _fetch(wd, group, True)


@inner
def fits_pinned(wd: Any, group: int) -> bool:
    """Whether there are enough bytes, wherever they are, for a group to be pinned."""
    record = wd.groups[group]
    return _fit_spans(wd, record.span_first, record.span_end, 0, record.size)


@inner
def fits_carried(wd: Any, group: int, until: int) -> bool:
    """Whether there are enough bytes for the tail of a group, after a stay that lasts ``until`` a time."""
    record = wd.groups[group]
    return _fit_spans(wd, record.tail_span_first, record.tail_span_end, until + 1, record.size)


@inner
def _fit_spans(wd: Any, first: int, end: int, since: int, size: int) -> bool:
    """Whether ``size`` bytes more can be taken in spans, as far as they are not before a time."""
    for span in range(first, end):  # noqa: SIM110 - numba compiles no generators
        if not fits(wd, max(since, wd.spans[span].start), wd.spans[span].end, size):
            return False
    return True


@inner
def fits(wd: Any, start: int, end: int, size: int) -> bool:
    """Whether ``size`` bytes more can be taken at each time of a closed interval."""
    used, most = wd.used, 0
    for time in range(start, end + 1):
        most = max(most, used[time])
    return bool(most + size <= wd.scalars[0].capacity)


@inner
def keep_conflict(wd: Any, group: int) -> int:
    """A group in fast memory that the keep rule forbids beside this one, which is in fast memory too; or -1."""
    record = wd.groups[group]
    if record.kind == FETCHED:
        tensor = wd.tensors[record.fetched]
        for use in range(tensor.use_first, tensor.use_end):
            for number in range(wd.uses[use].kept_first, wd.uses[use].kept_end):
                if wd.groups[wd.links[number]].kind != IN_HBM and _is_kept(wd, use):
                    return int(wd.links[number])
    for number in range(record.keeper_first, record.keeper_end):
        use = wd.links[number]
        other = wd.tensors[wd.uses[use].tensor].group
        if wd.groups[other].kind == FETCHED and _is_kept(wd, use):
            return int(other)
    return -1


@inner
def _is_kept(wd: Any, use: int) -> bool:
    """Whether the compiler has to be told to keep this use of a fetched tensor in HBM (`Program.kept`)."""
    if wd.sites[wd.uses[use].site].fast or not wd.uses[use].served:
        return False
    tensor = wd.tensors[wd.uses[use].tensor]
    before = use - 1
    while before >= tensor.use_first and not wd.uses[before].served:
        before -= 1
    if before < tensor.use_first:
        return bool(tensor.produced)
    return bool(wd.sites[wd.uses[before].site].fast and not wd.uses[use].far)


@inner
def _note(wd: Any, group: int) -> None:
    """Remember what a group was at the last commit."""
    record, scalars = wd.groups[group], wd.scalars[0]
    if record.changed:
        return
    record.changed = True
    wd.changed[scalars.changed] = group
    scalars.changed += 1
    record.kind_old = record.kind
    if record.kind == FETCHED:
        tensor = wd.tensors[record.fetched]
        for serving in range(tensor.serving_first, tensor.serving_end):
            wd.servings[serving].plan_old = wd.servings[serving].plan


@inner
def _pin(wd: Any, group: int, present: bool) -> None:
    """Make or undo the pinning of a group."""
    _settle(wd, group, PINNED if present else IN_HBM)
    record = wd.groups[group]
    size = record.size if present else -record.size
    _take_spans(wd, record.span_first, record.span_end, 0, size)
    for number in range(record.member_first, record.member_end):
        _write(wd, wd.links[number], present)
    if record.evicted_after >= 0:
        _set_copy(wd, wd.scalars[0].evictions + group, record.evicted_after, record.evicted_before, present)


@inner
def _fetch(wd: Any, group: int, present: bool) -> None:
    """Make or undo what the plans of a group's servings say."""
    _settle(wd, group, FETCHED if present else IN_HBM)
    record = wd.groups[group]
    serving, end = wd.tensors[record.fetched].serving_first, wd.tensors[record.fetched].serving_end
    while serving < end:
        after, start = wd.servings[serving].plan, serving
        serving += 1
        if after == UNSERVED:
            continue
        while serving < end and wd.servings[serving].plan == STAYS:
            serving += 1
        begin, until = stay_of(wd, start, serving - 1)
        size = stay_size(wd, group, serving - 1)
        _take(wd, begin, until, size if present else -size)
        for use in range(wd.servings[start].low, wd.servings[serving - 1].high + 1):
            _set_site(wd, wd.uses[use].site, present)
        if wd.servings[serving - 1].carries:
            _carry(wd, group, until, present)
        if after == MADE:
            site, before = wd.tensors[record.fetched].site, _evicted_before(wd, serving - 1)
            _set_site(wd, site, present)
            _set_copy(wd, wd.scalars[0].evictions + group, wd.sites[site].slot, before, present)
        else:
            _set_copy(wd, start, after, wd.servings[start].before, present)


@inner
def stay_of(wd: Any, start: int, last: int) -> tuple[int, int]:
    """First and last time of the stay from one serving, which has a plan, to another."""
    after, until = wd.servings[start].plan, wd.slots[wd.servings[last].before].time
    if after != MADE:
        return wd.slots[after].time + 1, until
    return made_stay(wd, last)


@inner
def made_stay(wd: Any, last: int) -> tuple[int, int]:
    """First and last time of the stay of a product that is made in fast memory, and evicted after a serving."""
    site = wd.tensors[wd.uses[wd.servings[last].low].tensor].site
    return wd.slots[wd.sites[site].slot].time, wd.slots[_evicted_before(wd, last)].time


@inner
def _evicted_before(wd: Any, last: int) -> int:
    """The slot that waits for the eviction of a product whose servings stay up to this one (`product_eviction`)."""
    wait = wd.groups[wd.tensors[wd.uses[wd.servings[last].low].tensor].group].wait
    return int(max(wd.servings[last].before, min(wait, wd.servings[last + 1].before)))


@inner
def stay_size(wd: Any, group: int, last: int) -> int:
    """Bytes that a prefetched stay takes whose last serving is ``last``: the whole group's, where that is carried."""
    record = wd.groups[group]
    return int(record.size if wd.servings[last].carries else record.fetched_size)


@inner
def _carry(wd: Any, group: int, until: int, present: bool) -> None:
    """Make or undo what is in fast memory with a serving that carries; its stay lasts ``until`` a time."""
    record = wd.groups[group]
    size = record.size if present else -record.size
    _take_spans(wd, record.tail_span_first, record.tail_span_end, until + 1, size)
    for number in range(record.tail_first, record.tail_end):
        _write(wd, wd.links[number], present)
    _set_copy(wd, wd.scalars[0].evictions + group, record.evicted_after, record.evicted_before, present)


@inner
def _write(wd: Any, tensor: int, fast: bool) -> None:
    """Write a tensor to fast memory, and have all of its uses read it there; or undo that."""
    record = wd.tensors[tensor]
    _set_site(wd, record.site, fast)
    for use in range(record.use_first, record.use_end):
        _set_site(wd, wd.uses[use].site, fast)


@inner
def _take_spans(wd: Any, first: int, end: int, since: int, size: int) -> None:
    """Take bytes, or give them back, in spans, as far as they are not before a time."""
    for span in range(first, end):
        _take(wd, max(since, wd.spans[span].start), wd.spans[span].end, size)


@inner
def _take(wd: Any, start: int, end: int, size: int) -> None:
    """Take bytes, or give them back, in a closed interval of times."""
    used = wd.used
    for time in range(start, end + 1):
        used[time] += size


@inner
def _settle(wd: Any, group: int, kind: int) -> None:
    """Set a group's kind, and keep the list of residents."""
    record, scalars = wd.groups[group], wd.scalars[0]
    record.kind = kind
    if kind == IN_HBM:
        scalars.residents -= 1
        last = wd.residents[scalars.residents]
        wd.residents[record.place] = last
        wd.groups[last].place = record.place
        record.place = -1
    else:
        record.place = scalars.residents
        wd.residents[record.place] = group
        scalars.residents += 1


@inner
def _set_site(wd: Any, site: int, fast: bool) -> None:
    if wd.sites[site].fast != fast:
        wd.sites[site].fast = fast
        slot = wd.sites[site].slot
        bit = site - wd.slots[slot].site_first
        if bit < MAX_SITES:
            _count_kernel(wd, slot, -1)
            wd.masks[wd.slots[slot].mask] ^= 1 << bit
            _count_kernel(wd, slot, 1)
        touch(wd, slot)


@inner
def _count_kernel(wd: Any, slot: int, change: int) -> None:
    """Count the kernel of a slot, or take it out, if no other slot has the same one."""
    record = wd.slots[slot]
    if record.free:
        return
    for number in range(record.alike_first, record.alike_end):
        if number != record.mask and wd.masks[number] == wd.masks[record.mask]:
            return
    wd.scalars[0].kernels += change


@inner
def _set_copy(wd: Any, copy: int, after: int, before: int, present: bool) -> None:
    """Queue a copy, or take it out."""
    record, start, end = wd.copies[copy], wd.slots[after], wd.slots[before]
    head = start.starts_out if record.eviction else start.starts_in
    if present:
        record.after = after
        record.next_start, head = head, copy
        record.next_due, end.due = end.due, copy
    else:
        head = _without(wd.copies.next_start, head, copy)
        end.due = _without(wd.copies.next_due, end.due, copy)
        record.after = -1
    demand, other = 0.0, head
    while other >= 0:
        demand += wd.copies[other].demand
        other = wd.copies[other].next_start
    if record.eviction:
        start.starts_out, start.demand_out = head, demand
    else:
        start.starts_in, start.demand_in = head, demand
    start.requeued = True
    touch(wd, after)
    touch(wd, before)


@inner
def _without(following: Any, head: int, copy: int) -> int:
    """The head of a linked list without one of its copies; ``following``: the next one of each copy."""
    if head == copy:
        return int(following[copy])
    at = head
    while following[at] != copy:
        at = following[at]
    following[at] = following[copy]
    return head
