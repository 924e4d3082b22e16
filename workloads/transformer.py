"""Attention and the pre-norm transformer block, which models of images, sound and games share."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn


def attend(query: jax.Array, key: jax.Array, value: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """Scaled dot-product attention (Vaswani et al., arXiv 1706.03762), softmax in f32.

    [..., queries, heads, depth] and twice [..., keys, heads, depth] -> [..., queries, heads, depth]; ``bias``, which is
    added to the scores, broadcasts to [..., heads, queries, keys].
    """
    scores = jnp.einsum("...qhd,...khd->...hqk", query, key).astype(jnp.float32) * query.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias
    return jnp.einsum("...hqk,...khd->...qhd", jax.nn.softmax(scores, -1).astype(value.dtype), value)


class SelfAttention(nn.Module):
    """Multi-head self-attention, as wide as its input."""

    heads: int
    key_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array | None = None) -> jax.Array:
        """[..., tokens, width] -> the same; ``bias`` as in `attend`."""
        width = x.shape[-1]

        def project(use_bias: bool) -> jax.Array:
            y = nn.Dense(width, use_bias=use_bias, dtype=jnp.bfloat16)(x)
            return y.reshape(*x.shape[:-1], self.heads, width // self.heads)

        mixed = attend(project(True), project(self.key_bias), project(True), bias)
        return nn.Dense(width, dtype=jnp.bfloat16)(mixed.reshape(x.shape))


class FeedForward(nn.Module):
    """Two dense layers with a gelu between, as wide as its input."""

    hidden: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., width] -> the same."""
        y = nn.gelu(nn.Dense(self.hidden, dtype=jnp.bfloat16)(x))
        return nn.Dense(x.shape[-1], dtype=jnp.bfloat16)(y)


class Block(nn.Module):
    """Pre-norm transformer block: self-attention and a feed-forward layer, each with a residual."""

    heads: int
    hidden: int
    key_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array | None = None) -> jax.Array:
        """[..., tokens, width] -> the same; ``bias`` as in `attend`."""
        x = x + SelfAttention(self.heads, self.key_bias)(nn.LayerNorm(dtype=jnp.bfloat16)(x), bias)
        return x + FeedForward(self.hidden)(nn.LayerNorm(dtype=jnp.bfloat16)(x))
