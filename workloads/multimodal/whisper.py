"""Whisper's encoder (Radford et al., arXiv 2212.04356)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables, in_bfloat16
from workloads.transformer import Block


class Encoder(nn.Module):
    """Two convolutions over log-mel frames, the second halving them, and a transformer without biases on keys."""

    width: int = 512
    layers: int = 6
    heads: int = 8

    @nn.compact
    def __call__(self, frames: jax.Array, positions: jax.Array) -> jax.Array:
        """[batch, frames, 80] and fixed sinusoids [frames/2, width] -> bf16[batch, frames/2, width]."""
        x = nn.gelu(nn.Conv(self.width, (3,), padding=1, dtype=jnp.bfloat16)(frames))
        x = nn.gelu(nn.Conv(self.width, (3,), (2,), padding=1, dtype=jnp.bfloat16)(x))
        x = x + positions
        for _ in range(self.layers):
            x = Block(self.heads, 4 * self.width, key_bias=False)(x)
        encoded: jax.Array = nn.LayerNorm(dtype=jnp.bfloat16)(x)
        return encoded


def whisper_encoder() -> Built:
    """Inference of the base model's encoder, 30 s (3000 frames) of one recording, weights in bf16."""
    model = Encoder()
    frames = jax.ShapeDtypeStruct((1, 3000, 80), jnp.bfloat16)
    positions = jax.ShapeDtypeStruct((1500, model.width), jnp.bfloat16)

    def infer(variables: Any, frames: jax.Array, positions: jax.Array) -> Any:
        return model.apply(variables, frames, positions)

    return infer, (in_bfloat16(abstract_variables(model, frames, positions)), frames, positions)
