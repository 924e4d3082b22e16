"""Clustering by k-means (Lloyd 1982)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from workloads import Built

ROUNDS = 20

_State = tuple[jax.Array, jax.Array, jax.Array, jax.Array]
"""Centres, the centre of each point, whether one has changed, rounds done."""


def cluster(points: jax.Array, centres: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Move centres until no point changes its centre, at most ``ROUNDS`` times.

    Args:
        points: f32[points, width].
        centres: f32[centres, width].

    Returns:
        Centres, the centre of each point (i32[points]) and the number of rounds.
    """

    def nearest(centres: jax.Array) -> jax.Array:
        return jnp.argmin((centres**2).sum(-1) - 2 * points @ centres.T, -1).astype(jnp.int32)

    def means(old: jax.Array, assigned: jax.Array) -> jax.Array:
        members = jax.nn.one_hot(assigned, old.shape[0], dtype=points.dtype)
        count = members.sum(0)[:, None]
        return jnp.where(count > 0, members.T @ points / jnp.maximum(count, 1), old)

    def goes_on(state: _State) -> jax.Array:
        _, _, moved, done = state
        return moved & (done < ROUNDS)

    def advance(state: _State) -> _State:
        centres, assigned, _, done = state
        centres = means(centres, assigned)
        now = nearest(centres)
        return centres, now, (now != assigned).any(), done + 1

    start = (centres, nearest(centres), jnp.array(True), jnp.array(0))
    centres, assigned, _, done = jax.lax.while_loop(goes_on, advance, start)
    return centres, assigned, done


def k_means() -> Built:
    """65,536 points of 128, 512 centres: 32 MiB of points, read twice a round."""
    return cluster, (
        jax.ShapeDtypeStruct((65536, 128), jnp.float32),
        jax.ShapeDtypeStruct((512, 128), jnp.float32),
    )
