"""The position in one episode, as a pytree of small arrays."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from muzero.environment.arrays import Array
from muzero.environment.tables import FARTHEST, NEVER, RESERVED, Tables

READ, WRITTEN, IDLE, DRAINED, SPENT = range(5)
STARTS, LAST, BEHIND, QUEUED = (slice(first, first + 2) for first in range(5, 13, 2))
"""Rows of ``State.flow``, all seconds but for the first two, bytes that the instruction reads from fast memory and
writes there: HBM time that it leaves idle, what the queues take of it, and the time it takes with the stalls before it.
Then of the queues of its computation, HBM -> fast first and fast -> HBM second (that of the entry computation alone),
in seconds of the whole bandwidth: what starts after it; place of the last copy that is due before it, or ``NEVER``, and
what is queued behind that when it is due, infinite where none is; what is queued after it."""

TOTAL, LEFT, RUNS, RUNS_LEFT = range(4)
"""Rows of ``State.calls``, seconds: one run of the computation; what the queues leave of its idle time; all runs of it
and of the callees of the same caller before it, of branches the slowest; and what these leave."""

UNANSWERED, BARRED = -1, 3
"""Beside the values of ``Move``: a site that is still to be answered, and the first site of a group that a drop-backup
took back, which counts as DROP."""


class Stays(NamedTuple):
    """The stays so far, and what instructions reserve, by ascending offset; behind them rows that are none.

    Attributes:
        number: int32[], how many there are.
        low: int32[rows], first byte; ``2**31 - 1`` where there is none.
        top: int32[rows], byte after the last one, rounded up to the alignment.
        start: int32[rows], first time; ``FARTHEST`` where there is none.
        end: int32[rows], last time; ``NEVER`` where there is none.
        owner: int32[rows], alias group, or ``RESERVED``; ``NEVER`` where there is none.
    """

    number: Array
    low: Array
    top: Array
    start: Array
    end: Array
    owner: Array


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
        flow: float64[13, times], model M of each instruction, see ``READ`` and the others.
        calls: float64[4, computations], model M of each computation, see ``TOTAL`` and the others.
        queued: int32[copies], place of each copy in its queue, or ``NEVER``.
        kept: bool[relations], the use has to be kept in HBM (a use of a tensor that is copied).
        moved: bool[relations], the output is pinned, copied or carried.
        ahead: about the next move.
    """

    at: Array
    done: Array
    legal: Array
    total: Array
    moves: Array
    stays: Stays
    flow: Array
    calls: Array
    queued: Array
    kept: Array
    moved: Array
    ahead: Ahead


def empty(tables: Tables) -> State:
    """Everything in HBM and nothing answered; times and what the next move would do are still to be found."""
    sites = tables.sites.shape[-2]
    copies, relations = tables.copy_rank.shape[-1], tables.kept_owner.shape[-1]
    return State(
        at=jnp.int32(0),
        done=tables.site_count == 0,
        legal=jnp.zeros(3, bool),
        total=jnp.float64(0.0),
        moves=jnp.full(sites, UNANSWERED, jnp.int8),
        stays=_reserved(tables),
        flow=nothing_moves(tables),
        calls=jnp.zeros((4, tables.computations.shape[-1]), jnp.float64),
        queued=jnp.full(copies, NEVER, jnp.int32),
        kept=jnp.zeros(relations, bool),
        moved=jnp.zeros(relations, bool),
        ahead=Ahead(jnp.int32(0), jnp.int32(0), jnp.array(False)),
    )


def _reserved(tables: Tables) -> Stays:
    """What is in fast memory from the start on."""
    count, rows = tables.reserved_count, tables.reserved
    there = jnp.arange(rows.shape[-2], dtype=jnp.int32) < count
    return Stays(
        count,
        jnp.where(there, rows[:, 0], 2**31 - 1),
        jnp.where(there, rows[:, 1], 0),
        jnp.where(there, rows[:, 2], FARTHEST),
        jnp.where(there, rows[:, 3], NEVER),
        jnp.where(there, RESERVED, NEVER).astype(jnp.int32),
    )


def nothing_moves(tables: Tables) -> Array:
    """``State.flow`` without copies and before anything is timed."""
    flow = jnp.zeros((13, tables.steps.shape[-1]), jnp.float64)
    return flow.at[LAST].set(NEVER).at[BEHIND].set(jnp.inf)
