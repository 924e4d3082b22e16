"""EfficientNets (Tan and Le, arXiv 1905.11946)."""

from __future__ import annotations

import jax
from flax import linen as nn

from workloads import Built
from workloads.vision.inverted import InvertedResidual, SqueezeExcite
from workloads.vision.layers import ConvNorm, dense, inference

STAGES = (
    # expansion, features, blocks, stride of the first, kernel: the paper's table 1.
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


class EfficientNetB0(nn.Module):
    """EfficientNet-B0 with 1000 classes; squeezes to a quarter of a block's input."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, 224, 224, 3] -> logits [batch, 1000]."""
        x = ConvNorm(32, (3, 3), 2, activation=nn.swish)(x)
        for expansion, features, blocks, first_stride, kernel in STAGES:
            for block in range(blocks):
                channels = x.shape[-1]
                squeeze = SqueezeExcite(channels // 4, nn.swish, nn.sigmoid)
                stride = 1 if block else first_stride
                x = InvertedResidual(expansion * channels, features, kernel, stride, nn.swish, squeeze)(x)
        return dense(1000)(ConvNorm(1280, activation=nn.swish)(x).mean((1, 2)))


def efficientnet_b0() -> Built:
    """Inference, batch 32, weights in bf16."""
    return inference(EfficientNetB0(), 32, 224)
