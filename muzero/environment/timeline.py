"""Model M of a growing plan, simulated from beginning to end: one scan over the flattened schedule.

A callee comes right before its caller in the schedule, so what a computation has come to is handed to the level above
when it ends, and its caller takes it from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from muzero.environment.arrays import Array
from muzero.environment.state import Queue
from muzero.environment.tables import Tables


class Times(NamedTuple):
    """What the simulation finds.

    Attributes:
        total: float64[], seconds of the entry computation.
        idle: float64[times], seconds of HBM time that each instruction leaves idle.
        drained: float64[times], seconds of it that the queues take.
        left: float64[times], seconds that the queues left of the idle time from the beginning of the instruction's
            computation to its end.
    """

    total: Array
    idle: Array
    drained: Array
    left: Array


class _Open(NamedTuple):
    """Of the computations that run at present, one a level; seconds, float64[levels].

    Attributes:
        backlog: in the queue of prefetches.
        total: so far.
        left: of the idle time so far, what the queues left.
        callees: of the next caller at the level: all runs of its callees, of branches the slowest.
        callees_left: what these left of their idle time.
    """

    backlog: Array
    total: Array
    left: Array
    callees: Array
    callees_left: Array


def simulate(tables: Tables, fast: Array, prefetches: Queue, evictions: Queue) -> Times:
    """The times of everything with these bytes and copies in fast memory.

    Args:
        tables: of the problem.
        fast: float64[2 * times], like ``State.fast``.
        prefetches: queue HBM -> fast.
        evictions: queue fast -> HBM, of the entry computation alone.
    """
    count, levels = tables.compute.shape[-1], tables.levels.shape[-1]
    read, written = fast[:count], fast[count:]
    hbm = (tables.traffic - read - written) / tables.hbm_bandwidth
    memory = read / tables.fast_read_bandwidth + written / tables.fast_write_bandwidth + hbm
    elapsed = jnp.where(tables.free, 0.0, jnp.maximum(tables.compute, memory))
    idle = jnp.where(tables.free, 0.0, jnp.maximum(0.0, elapsed - hbm))
    numbers = jnp.arange(levels, dtype=jnp.int32)

    def run(carry: tuple[_Open, Array], now: Sequence[Array]) -> tuple[tuple[_Open, Array], tuple[Array, ...]]:
        open_, other = carry
        elapsed, idle, limit, other_limit, started, other_started, level, leaves, trips, branch = now

        def current(values: Array) -> Array:
            value = values[0]
            for number in range(1, levels):
                value = jnp.where(level == number, values[number], value)
            return value

        in_entry = level == 0
        elapsed += current(open_.callees)
        idle += current(open_.callees_left)
        own, opposite = current(open_.backlog), jnp.where(in_entry, other, 0.0)
        own, opposite, stall = _wait(own, opposite, limit)
        opposite, own, other_stall = _wait(opposite, own, other_limit)
        own, opposite, drained = _drain(own, opposite, idle)
        total = current(open_.total) + elapsed + stall + other_stall
        left = current(open_.left) + (idle - drained)
        backlog = own + started
        other = jnp.where(in_entry, opposite + other_started, other)
        # Without the barrier, every array of the carry would be computed from the very beginning.
        results = (backlog, other, total, left, idle, drained)
        backlog, other, total, left, idle, drained = lax.optimization_barrier(results)  # type: ignore[no-untyped-call]
        here, above = numbers == level, leaves & (numbers == level - 1)
        runs, runs_left = trips * total, trips * jnp.maximum(0.0, left)
        wins = above & (~branch | (runs > open_.callees))
        base, base_left = jnp.where(branch, 0.0, open_.callees), jnp.where(branch, 0.0, open_.callees_left)
        new = _Open(
            jnp.where(here, jnp.where(leaves, 0.0, backlog), open_.backlog),
            jnp.where(here, jnp.where(leaves, 0.0, total), open_.total),
            jnp.where(here, jnp.where(leaves, 0.0, left), open_.left),
            jnp.where(here, 0.0, jnp.where(wins, base + runs, open_.callees)),
            jnp.where(here, 0.0, jnp.where(wins, base_left + runs_left, open_.callees_left)),
        )
        return (new, other), (idle, drained, left)

    zeros = jnp.zeros(levels, jnp.float64)
    steps = (
        elapsed,
        idle,
        prefetches.behind,
        evictions.behind,
        prefetches.starting,
        evictions.starting,
        tables.level,
        tables.leaves,
        tables.trips,
        tables.branch,
    )
    (end, _), (idle, drained, left) = lax.scan(run, (_Open(*[zeros] * 5), jnp.float64(0.0)), steps)
    return Times(end.total[0], idle, drained, left)


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
