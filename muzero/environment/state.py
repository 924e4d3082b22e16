"""The position in one episode, as a pytree of small arrays."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from muzero.environment.arrays import Array
from muzero.environment.tables import FARTHEST, NEVER, Tables

UNANSWERED, BARRED = -1, 3
"""Beside the values of ``Move``: a site that is still to be answered, and the first site of a group that a drop-backup
took back, which counts as DROP."""


class Stays(NamedTuple):
    """The stays so far, by ascending offset; behind them rows that are none.

    Attributes:
        number: int32[], how many there are.
        low: int32[rows], first byte; ``2**31 - 1`` where there is none.
        top: int32[rows], byte after the last one, rounded up to the alignment.
        start: int32[rows], first time; ``FARTHEST`` where there is none.
        end: int32[rows], last time; ``NEVER`` where there is none.
        owner: int32[rows], alias group; ``NEVER`` where there is none.
    """

    number: Array
    low: Array
    top: Array
    start: Array
    end: Array
    owner: Array


class Queue(NamedTuple):
    """The copies of one direction, by time.

    Attributes:
        starting: float64[times], seconds of the whole HBM bandwidth that start after the instruction.
        last: int32[times], place in the queue of the last copy that is due before the instruction, or ``NEVER``.
        behind: float64[times], seconds queued behind that copy when it is due; infinite where none is.
    """

    starting: Array
    last: Array
    behind: Array


class Ahead(NamedTuple):
    """What the next move would do, found when the last one was made.

    Attributes:
        start: int32[], first time of the new stay.
        low: int32[], its first byte; of a stay that goes on, that of the stay.
        conflict: bool[], a later definition of a pinned group does not find its bytes free.
    """

    start: Array
    low: Array
    conflict: Array


class State(NamedTuple):
    """A position.

    Attributes:
        at: int32[], number of answered sites.
        done: bool[], all are answered.
        legal: bool[3], in the order of ``Move``: DROP, COPY, NO_COPY; all False only when done.
        total: float64[], seconds of the program under model M, undecided being HBM.
        moves: int8[sites], the recorded answers, by site.
        stays: what fast memory holds.
        fast: float64[2 * times], bytes that each instruction reads from fast memory, then those that it writes there.
        prefetches: queue HBM -> fast.
        evictions: queue fast -> HBM.
        queued: int32[copies], place of each copy in its queue, or ``NEVER``.
        kept: bool[relations], the use has to be kept in HBM (a use of a tensor that is copied).
        moved: bool[relations], the output is pinned, copied or carried.
        idle: float32[times], seconds of HBM time that the instruction leaves idle.
        drained: float32[times], seconds of it that the queues take.
        ahead: about the next move.
    """

    at: Array
    done: Array
    legal: Array
    total: Array
    moves: Array
    stays: Stays
    fast: Array
    prefetches: Queue
    evictions: Queue
    queued: Array
    kept: Array
    moved: Array
    idle: Array
    drained: Array
    ahead: Ahead


def empty(tables: Tables) -> State:
    """Everything in HBM and nothing answered; what the next move would do is still to be found."""
    times, sites = tables.compute.shape[-1], tables.sites.shape[-2]
    copies, relations = tables.copy_rank.shape[-1], tables.kept_owner.shape[-1]
    rows = tables.rows.shape[-1]
    queue = Queue(
        jnp.zeros(times, jnp.float64), jnp.full(times, NEVER, jnp.int32), jnp.full(times, jnp.inf, jnp.float64)
    )
    return State(
        at=jnp.int32(0),
        done=tables.site_count == 0,
        legal=jnp.zeros(3, bool),
        total=jnp.float64(0.0),
        moves=jnp.full(sites, UNANSWERED, jnp.int8),
        stays=Stays(
            jnp.int32(0),
            jnp.full(rows, 2**31 - 1, jnp.int32),
            jnp.zeros(rows, jnp.int32),
            jnp.full(rows, FARTHEST, jnp.int32),
            jnp.full(rows, NEVER, jnp.int32),
            jnp.full(rows, NEVER, jnp.int32),
        ),
        fast=jnp.zeros(2 * times, jnp.float64),
        prefetches=queue,
        evictions=queue,
        queued=jnp.full(copies, NEVER, jnp.int32),
        kept=jnp.zeros(relations, bool),
        moved=jnp.zeros(relations, bool),
        idle=jnp.zeros(times, jnp.float32),
        drained=jnp.zeros(times, jnp.float32),
        ahead=Ahead(jnp.int32(0), jnp.int32(0), jnp.array(False)),
    )
