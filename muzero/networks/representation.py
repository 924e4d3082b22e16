"""From what is seen to a latent vector."""

from __future__ import annotations

from typing import Protocol

import jax
import jax.numpy as jnp
from flax import linen as nn

from muzero.networks.blocks import AttentionBlock, ConvBlock, Dtype, normalised
from muzero.networks.config import NetworkConfig


class Seen(Protocol):
    """The observations that the networks take, as of ``muzero.environment``; float32, a batch axis in front of each.

    Attributes:
        board: [B, time bins, address bins, channels].
        uses: [B, sites ahead, features], the current one first; rows of zeros are padding.
        supply: [B, time bins, features], with the board's time bins.
        scalars: [B, features].
    """

    @property
    def board(self) -> jax.Array: ...
    @property
    def uses(self) -> jax.Array: ...
    @property
    def supply(self) -> jax.Array: ...
    @property
    def scalars(self) -> jax.Array: ...


class Tower(nn.Module):
    """A residual tower on the board. [B, time, address, channels] -> one token for each fourth of the time bins.

    A token has all addresses at its times: [B, time / 4, width].
    """

    config: NetworkConfig

    @nn.compact
    def __call__(self, board: jax.Array) -> jax.Array:
        x = board
        for channels in (self.config.channels, 2 * self.config.channels):
            x = nn.Conv(channels, (3, 3), strides=(2, 2), dtype=Dtype, param_dtype=Dtype)(x)
            for _ in range(self.config.tower_blocks):
                x = ConvBlock(channels)(x)
        columns = nn.relu(x).reshape(*x.shape[:2], -1)
        return nn.Dense(self.config.width, dtype=Dtype, param_dtype=Dtype)(columns)


class Representation(nn.Module):
    """Board and uses ahead, joined by attention. ``Seen`` [B] -> latent vectors float32 [B, latent].

    Tokens: one for the scalars, one for each site ahead, one for each column of times of the board, on which supply
    and demand are spread over all addresses.
    """

    config: NetworkConfig

    @nn.compact
    def __call__(self, seen: Seen) -> jax.Array:
        width, batch = self.config.width, seen.uses.shape[0]
        supply = seen.supply.astype(Dtype)
        parts = [
            nn.Dense(width, dtype=Dtype, param_dtype=Dtype, name="scalars")(seen.scalars.astype(Dtype))[:, None],
            nn.Dense(width, dtype=Dtype, param_dtype=Dtype, name="uses")(seen.uses.astype(Dtype)),
        ]
        if self.config.board:
            spread = jnp.broadcast_to(supply[:, :, None], (*seen.board.shape[:3], supply.shape[-1]))
            parts.append(Tower(self.config, name="tower")(jnp.concatenate([seen.board.astype(Dtype), spread], axis=-1)))
        else:
            parts.append(nn.Dense(width, dtype=Dtype, param_dtype=Dtype, name="supply")(supply))
        tokens = jnp.concatenate(parts, axis=1)
        present = jnp.concatenate(
            [
                jnp.ones((batch, 1), bool),
                jnp.any(seen.uses != 0, axis=-1),
                jnp.ones((batch, parts[2].shape[1]), bool),
            ],
            axis=1,
        )
        place = self.param("place", nn.initializers.zeros, tokens.shape[1:], Dtype)
        tokens = tokens + place
        for _ in range(self.config.layers):
            tokens = AttentionBlock(width, self.config.heads)(tokens, present)
        mean = jnp.sum(tokens * present[..., None], axis=1) / jnp.sum(present, axis=1, dtype=Dtype)[:, None]
        joined = jnp.concatenate([tokens[:, 0], tokens[:, 1], mean], axis=-1)
        return normalised(nn.Dense(self.config.latent, dtype=Dtype, param_dtype=Dtype)(joined))
