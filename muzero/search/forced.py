"""Sites with one legal move only are no decisions: these are answered without a search.

Everything that the agent learns is about transitions from decision to decision: a move and all forced ones after it,
with the sum of their rewards.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from muzero.search.environment import Environment, State, Tables

UNBOUNDED = 2**31 - 1
"""As many forced moves as there are."""


def advance(environment: Environment, tables: Tables, states: State, limit: int = UNBOUNDED) -> tuple[State, jax.Array]:
    """Play forced moves, up to the next decision or the end of each episode.

    Costs as many steps of the batch as the position with the most forced moves has.

    Args:
        limit: forced moves a position at most.

    Returns:
        The states [B], and the sums of the rewards on the way, float32 [B].
    """

    def more(carry: tuple[State, jax.Array, jax.Array]) -> jax.Array:
        return jnp.any(_forced(carry[0])) & (carry[2] < limit)

    def play(carry: tuple[State, jax.Array, jax.Array]) -> tuple[State, jax.Array, jax.Array]:
        states, total, count = carry
        forced = _forced(states)
        moved, rewards = environment.step(tables, states, jnp.argmax(states.legal, axis=-1).astype(jnp.int32))
        states = jax.tree.map(lambda new, old: jnp.where(_like(forced, new), new, old), moved, states)
        return states, total + jnp.where(forced, rewards.astype(jnp.float32), 0), count + 1

    zero = jnp.zeros(states.done.shape, jnp.float32)
    states, total, _ = jax.lax.while_loop(more, play, (states, zero, jnp.int32(0)))
    return states, total


def decide(
    environment: Environment, tables: Tables, states: State, moves: jax.Array, limit: int = UNBOUNDED
) -> tuple[State, jax.Array]:
    """Play a move in each state, and the forced ones after it.

    Args:
        moves: int32 [B], legal ones.
        limit: see ``advance``.

    Returns:
        The states at the next decision or the end [B], and the sums of the rewards until then, float32 [B].
    """
    states, rewards = environment.step(tables, states, moves)
    states, more = advance(environment, tables, states, limit)
    return states, rewards.astype(jnp.float32) + more


def _forced(states: State) -> jax.Array:
    return jnp.sum(states.legal, axis=-1) == 1


def _like(flag: jax.Array, leaf: jax.Array) -> jax.Array:
    return flag.reshape(flag.shape + (1,) * (leaf.ndim - 1))
