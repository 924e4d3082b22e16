"""Copies in their queues: who waits for whom."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from muzero.environment.arrays import Array
from muzero.environment.tables import FARTHEST, NEVER, Tables


class NewCopies(NamedTuple):
    """What a move queues: a prefetch first and an eviction second, of either there may be none.

    Attributes:
        after: int32[2], time of the instruction after which the copy starts; ``FARTHEST`` if there is none.
        before: int32[2], time of the instruction that waits for it; ``NEVER`` if there is none.
        computation: int32[2], of both instructions.
        place: int32[2], in its queue.
        demand: float64[2], seconds of the whole HBM bandwidth.
        behind: float64[2], seconds queued behind it when it is due.
    """

    after: Array
    before: Array
    computation: Array
    place: Array
    demand: Array
    behind: Array


def no_copies() -> NewCopies:
    """None of either."""
    none, nothing = jnp.full(2, NEVER, jnp.int32), jnp.zeros(2, jnp.float64)
    return NewCopies(jnp.full(2, FARTHEST, jnp.int32), none, none, none, nothing, nothing)


def new_copy(tables: Tables, queued: Array, copy: Array, after: Array) -> NewCopies:
    """A copy that starts after the instruction at time ``after``; fields without the axis.

    Args:
        tables: of the problem.
        queued: int32[copies], ``State.queued``.
        copy: int32[], its number.
        after: int32[].
    """
    number = tables.copy_rank.shape[-1]
    before, computation = tables.copy_before[copy], tables.copy_computation[copy]
    place = after * number + tables.copy_rank[copy]
    alike = (tables.copy_computation == computation) & (tables.copy_evicts == tables.copy_evicts[copy])
    later = alike & (queued > place) & (queued < before * number)
    behind = jnp.sum(jnp.where(later, tables.copy_demand, 0.0))
    return NewCopies(after, before, computation, place, tables.copy_demand[copy], behind)
