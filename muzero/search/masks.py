"""Logits of illegal moves."""

from __future__ import annotations

import jax
import jax.numpy as jnp

ILLEGAL = -1e9
"""So small that no other logit, nor a value that mctx adds to it, gives an illegal move a probability above 0."""


def masked(logits: jax.Array, legal: jax.Array) -> jax.Array:
    """Logits [B, moves] with ``ILLEGAL`` where a move is not legal, bool [B, moves]; finite, also where none is."""
    return jnp.where(legal, logits, ILLEGAL)
