"""MLP-Mixer (Tolstikhin et al., arXiv 2105.01601)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables, in_bfloat16
from workloads.transformer import FeedForward


class Mixer(nn.Module):
    """Feed-forward layers over patches and over channels in turn, with 1000 classes."""

    patch: int = 16
    width: int = 768
    layers: int = 12
    token_hidden: int = 384
    channel_hidden: int = 3072

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """[batch, height, width, 3] -> logits f32[batch, 1000]."""
        size = (self.patch, self.patch)
        x = nn.Conv(self.width, size, size, padding="VALID", dtype=jnp.bfloat16)(images)
        x = x.reshape(len(images), -1, self.width)
        for _ in range(self.layers):
            y = nn.LayerNorm(dtype=jnp.bfloat16)(x).swapaxes(1, 2)
            x = x + FeedForward(self.token_hidden)(y).swapaxes(1, 2)
            x = x + FeedForward(self.channel_hidden)(nn.LayerNorm(dtype=jnp.bfloat16)(x))
        x = nn.LayerNorm(dtype=jnp.bfloat16)(x).mean(1)
        logits: jax.Array = nn.Dense(1000, dtype=jnp.bfloat16)(x).astype(jnp.float32)
        return logits


def mlp_mixer_b() -> Built:
    """Inference of Mixer-B/16, batch 32 of 224x224, weights in bf16."""
    model = Mixer()
    images = jax.ShapeDtypeStruct((32, 224, 224, 3), jnp.bfloat16)

    def infer(variables: Any, images: jax.Array) -> Any:
        return model.apply(variables, images)

    return infer, (in_bfloat16(abstract_variables(model, images)), images)
