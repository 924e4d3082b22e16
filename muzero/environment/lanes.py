"""The lanes of a batch: played one after the other on a CPU, all at once elsewhere.

``vmap`` turns a branch or a loop that differs from lane to lane into "do it for all, then select", which copies what it
carries. A CPU is many times faster with one lane after the other, each of which branches and ends when it wants, and
writes into its place of the batch's arrays. So what a step does is a function of all lanes' arrays and the number of a
lane; ``lane_by_lane`` makes it one that can be called alone or under ``vmap``.

Where all lanes go at once, ``any_lane`` and ``most_of_lanes`` give one answer for all, and a loop or a branch stays
what it is; its body then has to leave lanes alone that did not ask for it. Elsewhere both return what they are given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from muzero.environment.arrays import Array

Tree = TypeVar("Tree")


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


def read_first(read: Tree, written: Any) -> tuple[Tree, Any]:
    """Both as they are, but what was ``read`` is at hand before anything is ``written`` where it was read from.

    XLA would read once more where a value is needed, even after the array has changed, and copy that array for it.
    """
    both: tuple[Tree, Any] = lax.optimization_barrier((read, written))  # type: ignore[no-untyped-call]
    return both


def of_lane(values: Tree, lane: Array) -> Tree:
    """What one lane has of arrays with the lanes in front; arrays of one lane are for all."""
    chosen: Tree = jax.tree.map(
        lambda leaf: leaf[0] if len(leaf) == 1 else lax.dynamic_index_in_dim(leaf, lane, keepdims=False), values
    )
    return chosen


class Sliced:
    """Of a named tuple of arrays with the lanes in front, what one lane has; taken where it is read, since most of it
    is read rarely.
    """

    def __init__(self, values: Any, lane: Array) -> None:
        self._values, self._lane = values, lane

    def __getattr__(self, name: str) -> Array:
        sliced: Array = of_lane(getattr(self._values, name), self._lane)
        return sliced


def element(values: Array, lane: Array, at: Array) -> Array:
    """What a lane has at ``at``, of an array with the lanes in front; of the only lane if there is one."""
    starts = [jnp.int32(0) if len(values) == 1 else lane, at, *[jnp.int32(0)] * (values.ndim - 2)]
    found: Array = lax.dynamic_slice(values, starts, (1, 1, *values.shape[2:]))
    return found[0, 0]


def with_lane(values: Tree, lane: Array, new: Tree) -> Tree:
    """Arrays with the lanes in front, with what one lane has replaced."""
    written: Tree = jax.tree.map(
        lambda leaf, value: lax.dynamic_update_index_in_dim(leaf, jnp.asarray(value, leaf.dtype), lane, 0), values, new
    )
    return written


def lane_by_lane(function: Callable[[Any, Tree, Array], Tree]) -> Callable[[Any, Tree], Tree]:
    """Make ``function(given, states, lane)`` one of a single position, that may be called under ``vmap``.

    Args:
        function: gets pytrees of arrays with the lanes in front, ``given`` with one lane where it is the same for all;
            returns ``states`` with the lane's part changed.

    Returns:
        ``(given, state) -> state`` of a single position.
    """

    def alone(given: Any, state: Tree) -> Tree:
        given, states = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], (given, state))
        return of_lane(function(given, states, jnp.int32(0)), jnp.int32(0))

    def lanes(axis_size: int, in_batched: Any, given: Any, state: Tree) -> tuple[Tree, Tree]:
        of_given, of_state = in_batched

        def one_by_one(given: Any, state: Tree) -> Tree:
            given = jax.tree.map(lambda leaf, batched: leaf if batched else jnp.asarray(leaf)[None], given, of_given)
            states = jax.tree.map(
                lambda leaf, batched: leaf if batched else jnp.broadcast_to(leaf, (axis_size, *leaf.shape)),
                state,
                of_state,
            )
            every: Tree = lax.fori_loop(
                jnp.int32(0), jnp.int32(axis_size), lambda lane, states: function(given, states, lane), states
            )
            return every

        def at_once(given: Any, state: Tree) -> Tree:
            axes = jax.tree.map(lambda batched: 0 if batched else None, (of_given, of_state))
            every: Tree = jax.vmap(alone, axes, axis_size=axis_size)(given, state)
            return every

        states: Tree = lax.platform_dependent(given, state, cpu=one_by_one, default=at_once)
        return states, jax.tree.map(lambda _: True, states)

    wrapped: Any = custom_vmap(alone)
    wrapped.def_vmap(lanes)
    single: Callable[[Any, Tree], Tree] = wrapped
    return single
