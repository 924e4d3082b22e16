"""VGG networks (Simonyan and Zisserman, arXiv 1409.1556)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.vision.layers import dense, inference


class VGG(nn.Module):
    """Stages of 3x3 convolutions, each halved by a pool, then three dense layers, 1000 classes.

    Attributes:
        stages: channels of each convolution, a tuple per stage.
    """

    stages: tuple[tuple[int, ...], ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, 3] -> logits [batch, 1000]."""
        for stage in self.stages:
            for features in stage:
                x = nn.relu(nn.Conv(features, (3, 3), dtype=jnp.bfloat16)(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(dense(4096)(x))
        x = nn.relu(dense(4096)(x))
        return dense(1000)(x)


def vgg16() -> Built:
    """Inference with 16 weight layers (the paper's configuration D), batch 16, weights in bf16."""
    return inference(VGG(((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)), 16, 224)
