"""Sites with one legal move only are no decisions: these are answered without a search.

Everything that the agent learns is about transitions from decision to decision: a move and all forced ones after it,
with the sum of their rewards.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from muzero.search.environment import PASS, Environment, State, Tables

UNBOUNDED = 2**30
"""As many forced moves as there are."""

Carry = tuple[State, jax.Array, jax.Array, jax.Array, jax.Array]
"""States, next moves, which of them are made, sums of rewards, moves so far."""


def advance(environment: Environment, tables: Tables, states: State, limit: int = UNBOUNDED) -> tuple[State, jax.Array]:
    """Play forced moves, up to the next decision or the end of each episode.

    Costs as many steps of the batch as the position with the most forced moves has.

    Args:
        environment: the game.
        tables: as ``environment`` wants them.
        states: [B].
        limit: forced moves a position at most.

    Returns:
        The states [B], and the sums of the rewards on the way, float32 [B].
    """
    return _play(environment, tables, states, _only(states), _forced(states), limit)


def decide(
    environment: Environment, tables: Tables, states: State, moves: jax.Array, limit: int = UNBOUNDED
) -> tuple[State, jax.Array]:
    """Play a move in each state, and the forced ones after it.

    Args:
        environment: the game.
        tables: as ``environment`` wants them.
        states: [B].
        moves: int32 [B], legal ones.
        limit: see ``advance``.

    Returns:
        The states at the next decision or the end [B], and the sums of the rewards until then, float32 [B].
    """
    return _play(environment, tables, states, moves, ~states.done, 1 + limit)


def _play(
    environment: Environment, tables: Tables, states: State, moves: jax.Array, moving: jax.Array, limit: int
) -> tuple[State, jax.Array]:
    """The moves where ``moving``, and forced ones after them, ``limit`` a position in all."""

    def more(carry: Carry) -> jax.Array:
        _, _, moving, _, count = carry
        return jnp.any(moving) & (count < limit)

    def play(carry: Carry) -> Carry:
        states, moves, moving, total, count = carry
        states, rewards = environment.step(tables, states, jnp.where(moving, moves, PASS))
        total = total + rewards.astype(jnp.float32)
        return states, _only(states), moving & _forced(states), total, count + 1

    zero = jnp.zeros(states.done.shape, jnp.float32)
    begun = (states, moves.astype(jnp.int32), moving, zero, jnp.int32(0))
    states, _, _, total, _ = jax.lax.while_loop(more, play, begun)
    return states, total


def _forced(states: State) -> jax.Array:
    return jnp.sum(states.legal, axis=-1) == 1


def _only(states: State) -> jax.Array:
    """The first legal move of each state."""
    return jnp.argmax(states.legal, axis=-1).astype(jnp.int32)
