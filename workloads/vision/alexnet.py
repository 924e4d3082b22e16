"""AlexNet (Krizhevsky et al. 2012), in the form with one tower (arXiv 1404.5997)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.vision.layers import dense, inference


class AlexNet(nn.Module):
    """Five convolutions and three dense layers, 1000 classes, dropout left out as at inference."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, 224, 224, 3] -> logits [batch, 1000]."""

        def conv(y: jax.Array, features: int, kernel: int, stride: int = 1) -> jax.Array:
            shape, strides = (kernel, kernel), (stride, stride)
            return nn.relu(nn.Conv(features, shape, strides, padding=min(kernel // 2, 2), dtype=jnp.bfloat16)(y))

        x = nn.max_pool(conv(x, 64, 11, 4), (3, 3), (2, 2))
        x = nn.max_pool(conv(x, 192, 5), (3, 3), (2, 2))
        x = conv(conv(conv(x, 384, 3), 256, 3), 256, 3)
        x = nn.max_pool(x, (3, 3), (2, 2)).reshape(x.shape[0], -1)
        x = nn.relu(dense(4096)(x))
        x = nn.relu(dense(4096)(x))
        return dense(1000)(x)


def alexnet() -> Built:
    """Inference, batch 64, weights in bf16."""
    return inference(AlexNet(), 64, 224)
