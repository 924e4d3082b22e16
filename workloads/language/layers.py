"""What several sequence models share: norms, attention, and abstract weights from a table of shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

Weights = dict[str, jax.Array]
"""Weights of one layer by name."""

Shapes = Mapping[str, tuple[int, ...]]


def abstract_weights(shapes: Shapes, stack: tuple[int, ...] = (), dtype: Any = jnp.bfloat16) -> Any:
    """Abstract weights of one layer, or of a stack of layers with leading axes ``stack``."""
    return {name: jax.ShapeDtypeStruct(stack + shape, dtype) for name, shape in shapes.items()}


def layer_norm(x: jax.Array, scale: jax.Array, shift: jax.Array, epsilon: float = 1e-5) -> jax.Array:
    """Layer norm over the last axis, computed in f32, given back in the type of ``x``."""
    y = x.astype(jnp.float32)
    y = (y - y.mean(-1, keepdims=True)) * jax.lax.rsqrt(y.var(-1, keepdims=True) + epsilon)
    return (y * scale + shift).astype(x.dtype)


def rms_norm(x: jax.Array, scale: jax.Array, epsilon: float = 1e-5) -> jax.Array:
    """Root-mean-square norm over the last axis, computed in f32, given back in the type of ``x``."""
    y = x.astype(jnp.float32)
    return (y * jax.lax.rsqrt((y * y).mean(-1, keepdims=True) + epsilon) * scale).astype(x.dtype)


def split_heads(x: jax.Array, heads: int) -> jax.Array:
    """[batch, tokens, width] -> [batch, tokens, heads, width/heads]."""
    return x.reshape(*x.shape[:2], heads, -1)


def attention(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array, scale: float) -> jax.Array:
    """Softmax attention with the softmax in f32.

    Args:
        query: [batch, queries, heads, head width].
        key: [batch, keys, heads, head width]; ``value`` has the same shape.
        bias: f32, added to the scaled scores; broadcasts to [batch, heads, queries, keys].
        scale: factor of the scores.

    Returns:
        [batch, queries, heads * head width] in the type of ``query``.
    """
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key).astype(jnp.float32) * scale + bias
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores, -1).astype(query.dtype), value)
    return mixed.reshape(*query.shape[:2], -1)


def causal_bias(tokens: int) -> jax.Array:
    """0 where a query may look, -1e9 at later keys: f32[tokens, tokens]."""
    return jnp.where(jnp.tril(jnp.ones((tokens, tokens), bool)), 0.0, -1e9)
