"""DenseNets (Huang et al., arXiv 1608.06993)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.vision.layers import dense, inference

GROWTH = 32


class DenseNet121(nn.Module):
    """DenseNet-121 with 1000 classes: growth 32, bottlenecks of 128, transitions that halve the channels."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, 224, 224, 3] -> logits [batch, 1000]."""

        def conv(y: jax.Array, features: int, kernel: int, stride: int = 1) -> jax.Array:
            return nn.Conv(features, (kernel, kernel), (stride, stride), use_bias=False, dtype=jnp.bfloat16)(y)

        def normed(y: jax.Array) -> jax.Array:
            return nn.relu(nn.BatchNorm(use_running_average=True, dtype=jnp.bfloat16)(y))

        x = nn.max_pool(normed(conv(x, 64, 7, 2)), (3, 3), (2, 2), "SAME")
        for stage, layers in enumerate((6, 12, 24, 16)):
            if stage:
                x = nn.avg_pool(conv(normed(x), x.shape[-1] // 2, 1), (2, 2), (2, 2))
            for _ in range(layers):
                new = conv(normed(conv(normed(x), 4 * GROWTH, 1)), GROWTH, 3)
                x = jnp.concatenate([x, new], -1)
        return dense(1000)(normed(x).mean((1, 2)))


def densenet121() -> Built:
    """Inference, batch 16, weights in bf16."""
    return inference(DenseNet121(), 16, 224)
