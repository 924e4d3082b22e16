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

UNROLL = 1


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
    """Per level, of the computation that runs there; seconds."""

    backlog: tuple[Array, ...]
    total: tuple[Array, ...]
    left: tuple[Array, ...]
    callees: tuple[Array, ...]
    callees_left: tuple[Array, ...]
    slowest: tuple[Array, ...]
    slowest_left: tuple[Array, ...]


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

    def run(carry: tuple[_Open, Array], now: Sequence[Array]) -> tuple[tuple[_Open, Array], tuple[Array, ...]]:
        open_, other = carry
        elapsed, idle, limit, other_limit, started, other_started, level, leaves, trips, branch = now
        here = [level == number for number in range(levels)]
        in_entry = here[0]

        def current(values: tuple[Array, ...]) -> Array:
            value = values[0]
            for number in range(1, len(values)):
                value = jnp.where(here[number], values[number], value)
            return value

        elapsed += current((*open_.callees, jnp.zeros_like(elapsed)))
        elapsed += current((*open_.slowest, jnp.zeros_like(elapsed)))
        idle += current((*open_.callees_left, jnp.zeros_like(elapsed)))
        idle += current((*open_.slowest_left, jnp.zeros_like(elapsed)))
        own, opposite = current(open_.backlog), jnp.where(in_entry, other, 0.0)
        own, opposite, stall = _wait(own, opposite, limit)
        opposite, own, other_stall = _wait(opposite, own, other_limit)
        own, opposite, drained = _drain(own, opposite, idle)
        total = current(open_.total) + elapsed + stall + other_stall
        left = current(open_.left) + (idle - drained)
        new_other = jnp.where(in_entry, opposite + other_started, other)

        def kept(values: tuple[Array, ...], value: Array) -> tuple[Array, ...]:
            value = jnp.where(leaves, 0.0, value)
            return tuple(jnp.where(here[number], value, old) for number, old in enumerate(values))

        run_total, run_left = trips * total, trips * jnp.maximum(0.0, left)
        to_sum, to_slowest = leaves & ~branch, leaves & branch
        callees, callees_left, slowest, slowest_left = [], [], [], []
        for number in range(levels - 1):
            adds, competes = to_sum & here[number + 1], to_slowest & here[number + 1]
            wins = competes & (run_total > open_.slowest[number])
            clear = here[number]
            callees.append(jnp.where(clear, 0.0, open_.callees[number] + jnp.where(adds, run_total, 0.0)))
            callees_left.append(jnp.where(clear, 0.0, open_.callees_left[number] + jnp.where(adds, run_left, 0.0)))
            slowest.append(jnp.where(clear, 0.0, jnp.where(wins, run_total, open_.slowest[number])))
            slowest_left.append(jnp.where(clear, 0.0, jnp.where(wins, run_left, open_.slowest_left[number])))
        new = _Open(
            kept(open_.backlog, own + started),
            kept(open_.total, total),
            kept(open_.left, left),
            tuple(callees),
            tuple(callees_left),
            tuple(slowest),
            tuple(slowest_left),
        )
        return (new, new_other), (idle, drained, left)

    zero = jnp.zeros((), jnp.float64)
    start = _Open(*[(zero,) * levels] * 3, *[(zero,) * (levels - 1)] * 4)
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
    (end, _), (idle, drained, left) = lax.scan(run, (start, zero), steps, unroll=UNROLL)
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
