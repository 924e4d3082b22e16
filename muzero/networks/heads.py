"""Dynamics and prediction: what follows from a latent vector."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from muzero.networks.blocks import DenseBlock, Dtype, normalised
from muzero.networks.config import NetworkConfig
from muzero.networks.initial import LAST


class Prediction(nn.Module):
    """Latent [B, latent] -> (policy logits [B, moves], value logits [B, bins]), float32.

    The last layers begin at 0: an untrained network finds all moves equally good and every position worth 0.
    """

    config: NetworkConfig
    moves: int

    @nn.compact
    def __call__(self, latent: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _head(self.config, latent, self.moves, "policy"), _head(self.config, latent, self.config.bins, "value")


class Dynamics(nn.Module):
    """(latent [B, latent], move int [B]) -> (the next latent [B, latent], reward logits [B, bins]), float32."""

    config: NetworkConfig
    moves: int

    @nn.compact
    def __call__(self, latent: jax.Array, move: jax.Array) -> tuple[jax.Array, jax.Array]:
        chosen = jax.nn.one_hot(move, self.moves, dtype=Dtype)
        x = jnp.concatenate([latent, chosen], axis=-1)
        x = latent + nn.Dense(self.config.latent, dtype=Dtype, param_dtype=Dtype)(x)
        for _ in range(self.config.latent_blocks):
            x = DenseBlock(self.config.latent)(x)
        reward = _head(self.config, jnp.concatenate([x, chosen], axis=-1), self.config.bins, "reward")
        return normalised(x), reward


def _head(config: NetworkConfig, x: jax.Array, outputs: int, name: str) -> jax.Array:
    """Residual blocks and a last layer that begins at 0. [B, any] -> [B, outputs]; parameters are named ``name``..."""
    x = nn.Dense(config.latent, dtype=Dtype, param_dtype=Dtype, name=f"{name}_in")(x)
    for number in range(max(1, config.latent_blocks // 2)):
        x = DenseBlock(config.latent, name=f"{name}_{number}")(x)
    x = nn.relu(nn.LayerNorm(dtype=Dtype, param_dtype=Dtype, name=f"{name}_norm")(x))
    return nn.Dense(outputs, dtype=Dtype, param_dtype=Dtype, name=name + LAST)(x)
