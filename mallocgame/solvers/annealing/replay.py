"""Times under M and E: of the whole program, or of what the last changes may have touched.

Semantics: `mallocgame.game.rules` (section "Time") and `mallocgame.models.replay.walk`. One queue a direction, first in
first out, sharing the bandwidth: as fluids, the state of a queue is the seconds of demand in it, and a copy has arrived
when no more is queued than what joined after it.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from mallocgame.models.cycles.sites import MAX_SITES
from mallocgame.solvers.annealing.compiled import compiled, inner
from mallocgame.solvers.annealing.world import DRAINED, ELAPSED, IDLE, INCOMING, LEFT, OUTGOING, STALL, TOTAL

MANY = 40
"""Dirty slots from which on sorting by insertion is the slower way."""

SAME = 1e-16
"""Seconds by which a queue may differ and still count as it was: far below a cycle."""


@compiled
def replay_whole(wd: Any) -> None:
    """Simulate every instruction; nothing is dirty after it, and the journal is of no use."""
    scalars = wd.scalars[0]
    if scalars.with_m:
        _replay_model(wd, 0)
    if scalars.with_e:
        _replay_model(wd, 1)
    clean(wd)
    scalars.journal_lost = True


@inner
def _replay_model(wd: Any, model: int) -> None:
    values, sums = wd.values[model], wd.sums[model]
    for computation in range(len(wd.computations)):
        incoming = outgoing = total = left = 0.0
        for slot in range(wd.computations[computation].slot_first, wd.computations[computation].slot_end):
            elapsed, idle = _step(wd, model, slot)
            stall, incoming, outgoing = _wait(wd, slot, incoming, outgoing)
            drained, incoming, outgoing = _drain(idle, incoming, outgoing)
            incoming += wd.slots[slot].demand_in
            outgoing += wd.slots[slot].demand_out
            values[slot, ELAPSED] = elapsed
            values[slot, IDLE] = idle
            values[slot, DRAINED] = drained
            values[slot, STALL] = stall
            values[slot, INCOMING] = incoming
            values[slot, OUTGOING] = outgoing
            total += elapsed + stall
            left += idle - drained
        sums[TOTAL, computation] = total + incoming + outgoing
        sums[LEFT, computation] = left


@inner
def refresh(wd: Any) -> None:
    """Simulate what is dirty, from there until the queues are as before, and the callers of what changed."""
    scalars, dirty = wd.scalars[0], wd.dirty
    _sort(dirty, scalars.dirty)
    low = 0
    while low < scalars.dirty:
        computation = wd.slots[dirty[low]].computation
        end = wd.computations[computation].slot_end
        high = low + 1
        while high < scalars.dirty and dirty[high] < end:
            high += 1
        changed = False
        if scalars.with_m:
            changed |= _simulate(wd, 0, computation, low, high)
        if scalars.with_e:
            changed |= _simulate(wd, 1, computation, low, high)
        low = high
        caller = wd.computations[computation].caller
        if changed and caller >= 0 and not wd.slots[caller].dirty:
            _insert(wd, low, caller)
    clean(wd)


@inner
def clean(wd: Any) -> None:
    """Nothing is to be simulated again."""
    for number in range(wd.scalars[0].dirty):
        wd.slots[wd.dirty[number]].dirty = False
        wd.slots[wd.dirty[number]].requeued = False
    wd.scalars[0].dirty = 0


@inner
def _sort(dirty: Any, count: int) -> None:
    """Sort the first slots: by insertion, for there are few, and they are nearly in order."""
    if count > MANY:
        dirty[:count].sort()
        return
    for number in range(1, count):
        slot, at = dirty[number], number
        while at > 0 and dirty[at - 1] > slot:
            dirty[at] = dirty[at - 1]
            at -= 1
        dirty[at] = slot


@inner
def touch(wd: Any, slot: int) -> None:
    """An instruction, or what it waits for or starts, has changed."""
    if not wd.slots[slot].dirty:
        wd.slots[slot].dirty = True
        wd.dirty[wd.scalars[0].dirty] = slot
        wd.scalars[0].dirty += 1


@inner
def _insert(wd: Any, low: int, slot: int) -> None:
    """A dirty slot among those from number ``low`` on, which are ascending."""
    dirty = wd.dirty
    at = wd.scalars[0].dirty
    while at > low and dirty[at - 1] > slot:
        dirty[at] = dirty[at - 1]
        at -= 1
    dirty[at] = slot
    wd.scalars[0].dirty += 1
    wd.slots[slot].dirty = True


@inner
def _simulate(wd: Any, model: int, computation: int, low: int, high: int) -> bool:
    """Simulate around the dirty slots ``low`` to ``high`` of one computation; whether its sums changed.

    It ends where the queues hold as much as before, and all of it joined after the last change of what is queued: an
    older copy would wait for something else even if the sum is the same.
    """
    slots, values, sums, dirty = wd.slots, wd.values[model], wd.sums[model], wd.dirty
    first, end = wd.computations[computation].slot_first, wd.computations[computation].slot_end
    total, left = sums[TOTAL, computation], sums[LEFT, computation]
    done = first - 1
    for number in range(low, high):
        slot = dirty[number]
        if slot <= done:
            continue
        incoming = outgoing = 0.0
        if slot > first:
            incoming, outgoing = values[slot - 1, INCOMING], values[slot - 1, OUTGOING]
        same = False
        later_in = later_out = inf
        while slot < end and not same:
            if slots[slot].dirty:
                elapsed, idle = _step(wd, model, slot)
                total += elapsed - values[slot, ELAPSED]
                left += idle - values[slot, IDLE]
                _put(wd, model, ELAPSED, slot, elapsed)
                _put(wd, model, IDLE, slot, idle)
            stall, incoming, outgoing = _wait(wd, slot, incoming, outgoing)
            drained, incoming, outgoing = _drain(values[slot, IDLE], incoming, outgoing)
            incoming += slots[slot].demand_in
            outgoing += slots[slot].demand_out
            later_in, later_out = later_in + slots[slot].demand_in, later_out + slots[slot].demand_out
            if slots[slot].requeued:
                later_in = later_out = SAME
            total += stall - values[slot, STALL]
            left -= drained - values[slot, DRAINED]
            more_in, more_out = incoming - values[slot, INCOMING], outgoing - values[slot, OUTGOING]
            if slot == end - 1:
                total += more_in + more_out
            _put(wd, model, STALL, slot, stall)
            _put(wd, model, DRAINED, slot, drained)
            _put(wd, model, INCOMING, slot, incoming)
            _put(wd, model, OUTGOING, slot, outgoing)
            same = abs(more_in) <= SAME and abs(more_out) <= SAME and incoming <= later_in and outgoing <= later_out
            done = slot
            slot += 1
    changed = total != sums[TOTAL, computation] or left != sums[LEFT, computation]
    _put_sum(wd, model, TOTAL, computation, total)
    _put_sum(wd, model, LEFT, computation, left)
    return bool(changed)


@inner
def _put(wd: Any, model: int, field: int, slot: int, value: float) -> None:
    old = wd.values[model, slot, field]
    if old != value:
        _enter(wd, (model * len(wd.slots) + slot) * 6 + field, old)
        wd.values[model, slot, field] = value


@inner
def _put_sum(wd: Any, model: int, field: int, computation: int, value: float) -> None:
    old = wd.sums[model, field, computation]
    if old != value:
        _enter(wd, wd.values.size + (model * 2 + field) * len(wd.computations) + computation, old)
        wd.sums[model, field, computation] = value


@inner
def _enter(wd: Any, at: int, old: float) -> None:
    """Keep an old number in the journal, or know that it is lost."""
    scalars = wd.scalars[0]
    number = scalars.journal
    if number < len(wd.journal):
        wd.journal[number].at = at
        wd.journal[number].old = old
        scalars.journal = number + 1
    else:
        scalars.journal_lost = True


@inner
def _step(wd: Any, model: int, slot: int) -> tuple[float, float]:
    """Elapsed and idle seconds of one instruction, its callees' included."""
    record = wd.slots[slot]
    elapsed = idle = 0.0
    if not record.free:
        elapsed, idle = _own(wd, model, slot)
    if record.child_first == record.child_end:
        return elapsed, idle
    sums = wd.sums[model]
    slowest = -1
    for number in range(record.child_first, record.child_end):
        child = wd.links[number]
        if wd.computations[child].branch and (slowest < 0 or sums[TOTAL, child] > sums[TOTAL, slowest]):
            slowest = child
    for number in range(record.child_first, record.child_end):
        child = wd.links[number]
        if child == slowest or not wd.computations[child].branch:
            elapsed += wd.computations[child].trips * sums[TOTAL, child]
            idle += wd.computations[child].trips * sums[LEFT, child]
    return elapsed, idle


@inner
def _own(wd: Any, model: int, slot: int) -> tuple[float, float]:
    """Elapsed and idle seconds of one instruction alone."""
    record, scalars = wd.slots[slot], wd.scalars[0]
    read = written = 0.0
    mask: Any = np.int64(0)
    for site in range(record.site_first, record.site_end):
        if wd.sites[site].fast:
            bit = site - record.site_first
            if bit < MAX_SITES:
                mask |= np.int64(1) << np.int64(bit)
            if wd.sites[site].writes:
                written += wd.sites[site].bytes
            else:
                read += wd.sites[site].bytes
    hbm = max(0.0, record.total_bytes - read - written) / scalars.hbm_rate
    seconds = max(record.compute, read / scalars.read_rate + written / scalars.write_rate + hbm)
    if model == 1:
        cycles = _cycles(wd, slot, mask)
        if cycles > 0.0:
            seconds = max(cycles * scalars.cycle, hbm)
    return seconds, seconds - hbm


@inner
def _cycles(wd: Any, slot: int, mask: int) -> float:
    """Predicted cycles for a placement; 0 where nothing was observed. The rule is `CycleTable.cycles`."""
    record = wd.slots[slot]
    bits = min(MAX_SITES, record.site_end - record.site_first)
    nearest, predicted = -1.0, 0.0
    for number in range(record.seen_first, record.seen_end):
        seen = wd.seen[number]
        differing = mask ^ seen.mask
        if differing == 0:
            return float(max(seen.cycles, record.floor))
        distance, cycles = 0.0, seen.cycles
        for bit in range(bits):
            if (differing >> bit) & 1:
                weight = wd.sites[record.site_first + bit].weight
                distance += abs(weight)
                cycles += -weight if (mask >> bit) & 1 else weight
        if nearest < 0.0 or distance < nearest:
            nearest, predicted = distance, cycles
    return float(max(predicted, record.floor)) if nearest >= 0.0 else 0.0


@inner
def _wait(wd: Any, slot: int, incoming: float, outgoing: float) -> tuple[float, float, float]:
    """Seconds until all that is due has arrived, and what is queued then."""
    copy = wd.slots[slot].due
    stall = 0.0
    while copy >= 0:
        if wd.copies[copy].eviction:
            waited, outgoing, incoming = _arrive(outgoing - _behind(wd, copy, slot, outgoing), outgoing, incoming)
        else:
            waited, incoming, outgoing = _arrive(incoming - _behind(wd, copy, slot, incoming), incoming, outgoing)
        stall += waited
        copy = wd.copies[copy].next_due
    return stall, incoming, outgoing


@inner
def _arrive(need: float, queued: float, other: float) -> tuple[float, float, float]:
    """Wait for ``need`` seconds of a queue's demand: (seconds, what it holds then, what the other one does)."""
    if need <= 0.0:
        return 0.0, queued, other
    beside = min(need, other)
    return need + beside, queued - need, other - beside


@inner
def _behind(wd: Any, copy: int, slot: int, queued: float) -> float:
    """Seconds of demand that joined a copy's queue after it and before an instruction; ``queued`` if that is less."""
    record = wd.copies[copy]
    start = wd.slots[record.after]
    behind, between = 0.0, slot - 1
    while between > record.after and behind < queued:
        behind += wd.slots[between].demand_out if record.eviction else wd.slots[between].demand_in
        between -= 1
    if behind >= queued:
        return queued
    other = start.starts_out if record.eviction else start.starts_in
    while other >= 0:
        if wd.copies[other].key > record.key:
            behind += wd.copies[other].demand
        other = wd.copies[other].next_start
    return behind


@inner
def _drain(idle: float, incoming: float, outgoing: float) -> tuple[float, float, float]:
    """What copies take of idle time, and what is queued then; half each while both directions have something."""
    if outgoing == 0.0:
        taken = min(idle, incoming)
        return taken, incoming - taken, 0.0
    both = min(incoming, outgoing)
    if 2.0 * both >= idle:
        return idle, incoming - 0.5 * idle, outgoing - 0.5 * idle
    taken = min(idle - 2.0 * both, max(incoming, outgoing) - both)
    if incoming > outgoing:
        return 2.0 * both + taken, incoming - both - taken, 0.0
    return 2.0 * both + taken, 0.0, outgoing - both - taken
