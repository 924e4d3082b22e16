"""The parts that the networks are made of. All in float32, whatever JAX's default is."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

Dtype = jnp.float32


class ConvBlock(nn.Module):
    """A residual block of two 3 x 3 convolutions. [B, H, W, channels] -> the same shape."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = nn.relu(nn.LayerNorm(dtype=Dtype, param_dtype=Dtype)(x))
        y = nn.Conv(self.channels, (3, 3), dtype=Dtype, param_dtype=Dtype)(y)
        y = nn.relu(nn.LayerNorm(dtype=Dtype, param_dtype=Dtype)(y))
        return x + nn.Conv(self.channels, (3, 3), dtype=Dtype, param_dtype=Dtype)(y)


class DenseBlock(nn.Module):
    """A residual block of two layers. [B, width] -> the same shape."""

    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = nn.LayerNorm(dtype=Dtype, param_dtype=Dtype)(x)
        y = nn.relu(nn.Dense(2 * self.width, dtype=Dtype, param_dtype=Dtype)(y))
        return x + nn.Dense(self.width, dtype=Dtype, param_dtype=Dtype)(y)


class AttentionBlock(nn.Module):
    """A transformer layer, normalised before its parts. [B, tokens, width] -> the same shape.

    ``present`` (bool [B, tokens]) says which tokens may be looked at.
    """

    width: int
    heads: int

    @nn.compact
    def __call__(self, x: jax.Array, present: jax.Array) -> jax.Array:
        y = nn.LayerNorm(dtype=Dtype, param_dtype=Dtype)(x)
        mask = present[:, None, None, :]
        x = x + nn.MultiHeadDotProductAttention(self.heads, dtype=Dtype, param_dtype=Dtype)(y, mask=mask)
        return DenseBlock(self.width)(x)


def normalised(x: jax.Array) -> jax.Array:
    """Latent vectors with mean 0 and variance 1 each, so that unrolling the dynamics cannot blow them up."""
    x = x - jnp.mean(x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6)
