"""Copies in their queues: who waits for whom, kept up to date copy by copy."""

from __future__ import annotations

import jax.numpy as jnp

from muzero.environment.arrays import Array
from muzero.environment.state import Queue
from muzero.environment.tables import Tables


def enqueue(
    tables: Tables, queue: Queue, queued: Array, copy: Array, after: Array, active: Array
) -> tuple[Queue, Array]:
    """Add a copy that starts after the instruction at time ``after``; nothing changes where it is not ``active``.

    Returns:
        The queue of the copy's direction, and all copies' places.
    """
    times = jnp.arange(queue.last.shape[-1], dtype=jnp.int32)
    number = tables.copy_rank.shape[-1]
    demand = jnp.where(active, tables.copy_demand[copy], 0.0)
    before, computation = tables.copy_before[copy], tables.copy_computation[copy]
    place = after * number + tables.copy_rank[copy]
    alike = (tables.copy_computation == computation) & (tables.copy_evicts == tables.copy_evicts[copy])
    later = alike & (queued > place) & (queued < before * number)
    behind = jnp.sum(jnp.where(later, tables.copy_demand, 0.0))
    waits = (tables.computation == computation) & (queue.last < place)
    becomes_last = active & waits & (times == before)
    new = Queue(
        starting=queue.starting + jnp.where(times == after, demand, 0.0),
        last=jnp.where(becomes_last, place, queue.last),
        behind=jnp.where(becomes_last, behind, queue.behind + jnp.where(waits & (times > after), demand, 0.0)),
    )
    at_copy = active & (jnp.arange(number, dtype=jnp.int32) == copy)
    return new, jnp.where(at_copy, place, queued)
