"""The Vision Transformer (Dosovitskiy et al., arXiv 2010.11929)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables, in_bfloat16
from workloads.transformer import Block


class ViT(nn.Module):
    """A transformer over patches of an image and a class token, with 1000 classes."""

    patch: int = 16
    width: int = 768
    layers: int = 12
    heads: int = 12

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """[batch, height, width, 3] -> logits f32[batch, 1000]."""
        size = (self.patch, self.patch)
        x = nn.Conv(self.width, size, size, padding="VALID", dtype=jnp.bfloat16)(images)
        x = x.reshape(len(images), -1, self.width)
        first = self.param("class", nn.initializers.zeros, (1, 1, self.width)).astype(x.dtype)
        x = jnp.concatenate([jnp.broadcast_to(first, (len(images), 1, self.width)), x], 1)
        x = x + self.param("positions", nn.initializers.normal(0.02), (1, *x.shape[1:])).astype(x.dtype)
        for _ in range(self.layers):
            x = Block(self.heads, 4 * self.width)(x)
        x = nn.LayerNorm(dtype=jnp.bfloat16)(x[:, 0])
        logits: jax.Array = nn.Dense(1000, dtype=jnp.bfloat16)(x).astype(jnp.float32)
        return logits


def vit_b() -> Built:
    """Inference of ViT-B/16, batch 16 of 224x224, weights in bf16."""
    model = ViT()
    images = jax.ShapeDtypeStruct((16, 224, 224, 3), jnp.bfloat16)

    def infer(variables: Any, images: jax.Array) -> Any:
        return model.apply(variables, images)

    return infer, (in_bfloat16(abstract_variables(model, images)), images)
