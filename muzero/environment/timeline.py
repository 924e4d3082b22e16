"""Model M of a growing plan, kept up to date: a move has the instructions timed again that it touches, and on until the
queues are as they were before.

A callee comes right before its caller in the schedule, so one walk through the schedule is enough: from the first
time that is touched to the last one, on while the queues differ from what they were, and then to the ends of the
computations that enclose it, since their callers run for what all of their instructions take.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from mallocgame.game.board import ENOUGH, NEGLIGIBLE
from muzero.environment.arrays import Array
from muzero.environment.lanes import any_lane
from muzero.environment.queues import NewCopies
from muzero.environment.state import (
    BEHIND,
    DRAINED,
    IDLE,
    LAST,
    LEFT,
    QUEUED,
    READ,
    RUNS,
    RUNS_LEFT,
    SPENT,
    STARTS,
    TOTAL,
    WRITTEN,
)
from muzero.environment.tables import (
    BRANCH,
    CALLEE,
    COMPUTATION,
    COMPUTE,
    ELDER,
    FARTHEST,
    FREE,
    LEAF,
    NEXT,
    OUTWARD,
    PREVIOUS,
    TRAFFIC,
    TRIPS,
    Site,
    Tables,
)

SLOWER = 1 + 1e-12
"""A branch that takes this much longer than another is slower; less is rounding."""


class Times(NamedTuple):
    """Closed interval of times.

    Attributes:
        first: int32[], ``FARTHEST`` if it is empty.
        last: int32[], ``NEVER`` if it is empty.
    """

    first: Array
    last: Array


def column(values: Array, lane: Array, at: Array) -> Array:
    """Column ``at`` of a lane's matrix, the lanes in front; of the only one if there is one. 0 where ``at`` is < 0."""
    zero = jnp.int32(0)
    lane = zero if len(values) == 1 else lane
    found = lax.dynamic_slice(values, (lane, zero, jnp.maximum(at, 0)), (1, values.shape[1], 1))[0, :, 0]
    return jnp.where(at < 0, 0.0, found)


def with_column(values: Array, lane: Array, at: Array, new: Array) -> Array:
    """Matrices with column ``at`` of a lane's replaced."""
    written: Array = lax.dynamic_update_slice(values, new[None, :, None], (lane, jnp.int32(0), at))
    return written


def timed_again(
    tables: Tables, steps: Array, flow: Array, calls: Array, lane: Array, touched: Times, copies: NewCopies
) -> tuple[Array, Array]:
    """Queue copies, and time the touched instructions and all whose times that changes.

    Args:
        tables: of the lane's problem.
        steps: float64[lanes or 1, 12, times], ``Tables.steps`` of all lanes.
        flow: float64[lanes, 13, times], ``State.flow`` of all lanes.
        calls: float64[lanes, 4, computations], ``State.calls`` of all lanes.
        lane: int32[].
        touched: by other traffic, from the start to the end of the copies.
        copies: to be queued.

    Returns:
        ``flow`` and ``calls``.
    """

    def read(flow: Array, calls: Array, time: Array) -> _Columns:
        now = column(steps, lane, time)
        return _Columns(
            now,
            column(flow, lane, time),
            column(flow, lane, now[PREVIOUS].astype(jnp.int32))[QUEUED],
            column(calls, lane, now[CALLEE].astype(jnp.int32)),
            column(calls, lane, now[COMPUTATION].astype(jnp.int32)),
            column(calls, lane, now[ELDER].astype(jnp.int32)),
        )

    def one(walk: _Walk) -> _Walk:
        flow, calls, time, last, here = walk
        now, old, going = here.now, here.flow, time < FARTHEST
        new = _timed(tables, now, _queued(old, time, now[COMPUTATION], copies), here.before, here.called)
        new = jnp.where(going, new, old)
        handed_on = going & jnp.any(new[QUEUED] != old[QUEUED])
        last = jnp.where(handed_on, jnp.maximum(last, now[NEXT].astype(jnp.int32)), last)
        flow = with_column(flow, lane, jnp.minimum(time, flow.shape[-1] - 1), new)
        calls = with_column(calls, lane, now[COMPUTATION].astype(jnp.int32), _came_to(here, new))
        onward = jnp.where(time < last, time + 1, now[OUTWARD].astype(jnp.int32))
        time = jnp.where(going, onward, FARTHEST)
        return _Walk(flow, calls, time, last, read(flow, calls, time))

    walk = _Walk(flow, calls, *touched, read(flow, calls, touched.first))
    walk = lax.while_loop(lambda walk: any_lane(walk.time < FARTHEST), one, walk)
    return walk.flow, walk.calls


class _Columns(NamedTuple):
    """What has to be known to time an instruction. In the loop's carry, since what is read and written at a place in
    one round XLA would read once more after it has changed, and copy the whole array for it.

    Attributes:
        now: float64[12], its column of ``Tables.steps``.
        flow: float64[13], its column of ``State.flow``, as it was.
        before: float64[2], what the queues hold before.
        called: float64[4], column of ``State.calls``, of the last of the instruction's callees.
        computation: float64[4], and of its computation, as it was.
        elder: float64[4], and of the callee before that, of the same caller.
    """

    now: Array
    flow: Array
    before: Array
    called: Array
    computation: Array
    elder: Array


class _Walk(NamedTuple):
    """How far the walk has come.

    Attributes:
        flow: of all lanes.
        calls: of all lanes.
        time: int32[], the next one, ``FARTHEST`` at the end.
        last: int32[], until here every time is visited.
        here: of ``time``.
    """

    flow: Array
    calls: Array
    time: Array
    last: Array
    here: _Columns


def _queued(old: Array, time: Array, computation: Array, copies: NewCopies) -> Array:
    """A column of ``State.flow`` with what new copies change there, before it is timed."""
    own = computation == copies.computation
    waits = own & (time > copies.after) & (time <= copies.before) & (old[LAST] < copies.place)
    becomes_last = waits & (time == copies.before)
    starts = old[STARTS] + jnp.where(own & (time == copies.after), copies.demand, 0.0)
    last = jnp.where(becomes_last, copies.place, old[LAST])
    behind = jnp.where(becomes_last, copies.behind, old[BEHIND] + jnp.where(waits, copies.demand, 0.0))
    return jnp.concatenate([old[: STARTS.start], starts, last, behind, old[QUEUED]])


def _timed(tables: Tables, now: Array, flow: Array, before: Array, called: Array) -> Array:
    """A column of ``State.flow`` with the times of the instruction.

    Args:
        tables: of the problem.
        now: float64[12], of ``Tables.steps``.
        flow: float64[13], of ``State.flow``.
        before: float64[2], what the queues hold before.
        called: float64[4], of ``State.calls``, the last of the instruction's callees.
    """
    read, written = flow[READ], flow[WRITTEN]
    hbm = (now[TRAFFIC] - read - written) / tables.hbm_bandwidth
    memory = read / tables.fast_read_bandwidth + written / tables.fast_write_bandwidth + hbm
    elapsed = jnp.where(now[FREE] > 0.0, 0.0, jnp.maximum(now[COMPUTE], memory))
    idle = jnp.where(now[FREE] > 0.0, 0.0, jnp.maximum(0.0, elapsed - hbm))
    elapsed, idle = elapsed + called[RUNS], idle + called[RUNS_LEFT]
    one, other, stall = _wait(before[0], before[1], flow[BEHIND][0])
    other, one, other_stall = _wait(other, one, flow[BEHIND][1])
    one, other, drained = _drain(one, other, idle)
    timed = jnp.stack([read, written, idle, drained, elapsed + stall + other_stall])
    queued = jnp.stack([one, other]) + flow[STARTS]
    return jnp.concatenate([timed, flow[STARTS.start : QUEUED.start], queued])


def _came_to(here: _Columns, new: Array) -> Array:
    """A column of ``State.calls`` after one of the computation's instructions was timed again."""
    now, old, computation, elder = here.now, here.flow, here.computation, here.elder
    total = computation[TOTAL] + (new[SPENT] - old[SPENT])
    left = computation[LEFT] + ((new[IDLE] - new[DRAINED]) - (old[IDLE] - old[DRAINED]))
    runs, runs_left = now[TRIPS] * total, now[TRIPS] * jnp.maximum(0.0, left)
    leaf, is_branch = now[LEAF] > 0.0, now[BRANCH] > 0.0
    slower = runs > elder[RUNS] * SLOWER
    runs = jnp.where(is_branch, jnp.where(slower, runs, elder[RUNS]), elder[RUNS] + runs)
    runs_left = jnp.where(is_branch, jnp.where(slower, runs_left, elder[RUNS_LEFT]), elder[RUNS_LEFT] + runs_left)
    return jnp.stack(
        [total, left, jnp.where(leaf, runs, computation[RUNS]), jnp.where(leaf, runs_left, computation[RUNS_LEFT])]
    )


def _wait(own: Array, other: Array, until: Array) -> tuple[Array, Array, Array]:
    """Copy until no more than ``until`` seconds are left in the own queue; both queues, and the seconds it took."""
    need = own - until
    waits = need > 0.0
    took = jnp.where(waits, need + jnp.minimum(need, other), 0.0)
    return jnp.where(waits, until, own), jnp.where(waits, jnp.maximum(0.0, other - need), other), took


def _drain(one: Array, other: Array, seconds: Array) -> tuple[Array, Array, Array]:
    """Copy for at most ``seconds``, each queue with half of the bandwidth while both have something left."""
    shared = jnp.minimum(one, other)
    both = seconds < 2 * shared
    alone = jnp.minimum(one + other - 2 * shared, seconds - 2 * shared)
    left = jnp.maximum(one, other) - shared - alone
    new_one = jnp.where(both, one - seconds / 2, jnp.where(one > other, left, 0.0))
    new_other = jnp.where(both, other - seconds / 2, jnp.where(one > other, 0.0, left))
    return new_one, new_other, jnp.where(both, seconds, 2 * shared + alone)


def useful_start(
    tables: Tables, steps: Array, flow: Array, lane: Array, site: Site, earliest: Array, asked: Array
) -> Array:
    """The latest time from ``earliest`` on, after whose instruction a prefetch may start, from which idle HBM time
    suffices; else the latest that misses none of it.

    Args:
        tables: of the lane's problem.
        steps: see ``timed_again``.
        flow: see ``timed_again``.
        lane: int32[].
        site: begins the serving.
        earliest: int32[], not after ``site.latest``.
        asked: bool[], whether anybody wants to know.
    """
    demand = tables.copy_demand[site.copy] * ENOUGH

    def going(walk: tuple[Array, Array, Array, Array]) -> Array:
        time, _, supply, before = walk
        return asked & (before >= earliest) & (time >= 0) & (supply < demand)

    def one(walk: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        time, best, supply, before = walk
        old = column(flow, lane, time)
        left = old[IDLE] - old[DRAINED]
        counts = going(walk) & (left > NEGLIGIBLE)
        best, supply = jnp.where(counts, before, best), supply + jnp.where(counts, left, 0.0)
        time = jnp.where(going(walk), before, time)
        return time, best, supply, column(steps, lane, time)[PREVIOUS].astype(jnp.int32)

    before = column(steps, lane, site.latest)[PREVIOUS].astype(jnp.int32)
    walk = site.latest, site.latest, jnp.float64(0.0), before
    best: Array = lax.while_loop(lambda walk: any_lane(going(walk)), one, walk)[1]
    return best
