"""U-Nets (Ronneberger et al., arXiv 1505.04597)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) with same padding: four halvings, transposed convolutions back, 2 classes."""

    features: tuple[int, ...] = (64, 128, 256, 512, 1024)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, 3] -> logits [batch, height, width, 2]."""

        def twice(y: jax.Array, features: int) -> jax.Array:
            for _ in range(2):
                y = nn.relu(nn.Conv(features, (3, 3), dtype=jnp.bfloat16, param_dtype=jnp.bfloat16)(y))
            return y

        skips = []
        for features in self.features[:-1]:
            x = twice(x, features)
            skips.append(x)
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = twice(x, self.features[-1])
        for features, skip in zip(self.features[-2::-1], skips[::-1], strict=True):
            x = nn.ConvTranspose(features, (2, 2), (2, 2), dtype=jnp.bfloat16, param_dtype=jnp.bfloat16)(x)
            x = twice(jnp.concatenate([skip, x], -1), features)
        logits: jax.Array = nn.Conv(2, (1, 1), dtype=jnp.bfloat16, param_dtype=jnp.bfloat16)(x)
        return logits


def _inference(model: UNet, batch: int, size: int) -> Built:
    images = jax.ShapeDtypeStruct((batch, size, size, 3), jnp.bfloat16)
    variables = abstract_variables(model, jnp.zeros((1, 32, 32, 3), jnp.bfloat16))

    def infer(variables: Any, images: jax.Array) -> Any:
        return model.apply(variables, images)

    return infer, (variables, images)


def unet() -> Built:
    """Inference, batch 8 of 256x256, weights in bf16."""
    return _inference(UNet(), 8, 256)


def unet_large() -> Built:
    """Inference, one image of 1024x1024, half the channels, weights in bf16."""
    return _inference(UNet((32, 64, 128, 256, 512)), 1, 1024)
