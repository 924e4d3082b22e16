"""What training steps share: a loss and plain momentum, so that no optimiser library is needed."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

LEARNING_RATE = 0.1
MOMENTUM = 0.9


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean negative log likelihood: logits [..., classes], labels i32[...] -> f32[]."""
    likelihood = jax.nn.log_softmax(logits.astype(jnp.float32))
    return -jnp.mean(jnp.take_along_axis(likelihood, labels[..., None], -1))


def momentum_step(weights: Any, velocity: Any, gradients: Any) -> tuple[Any, Any]:
    """New (weights, velocity), pytrees of one structure."""
    velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g.astype(v.dtype), velocity, gradients)
    return jax.tree.map(lambda w, v: w - LEARNING_RATE * v, weights, velocity), velocity
