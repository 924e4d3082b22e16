"""Reductions over the lanes of a batch, so that a loop or a branch inside ``vmap`` runs as often as any lane needs.

``vmap`` turns a condition that differs from lane to lane into "do it for all, then select", which copies the whole
carry. These two give one answer for all lanes, and the loop or branch stays what it is; its body then has to leave
lanes alone that did not ask for it. Outside ``vmap`` both return what they are given.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from muzero.environment.arrays import Array


@custom_vmap  # type: ignore[untyped-decorator,unused-ignore]
def any_lane(asked: Array) -> Array:
    """Whether a lane asks; bool[]."""
    return asked


@custom_vmap  # type: ignore[untyped-decorator,unused-ignore]
def most_of_lanes(count: Array) -> Array:
    """The largest count of a lane; int32[]."""
    return count


@any_lane.def_vmap  # type: ignore[untyped-decorator,unused-ignore]
def _any(axis_size: int, in_batched: Any, asked: Array) -> tuple[Array, bool]:
    return jnp.any(asked, axis=0), False


@most_of_lanes.def_vmap  # type: ignore[untyped-decorator,unused-ignore]
def _most(axis_size: int, in_batched: Any, count: Array) -> tuple[Array, bool]:
    return jnp.max(count, axis=0), False
