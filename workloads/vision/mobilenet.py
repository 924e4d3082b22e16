"""MobileNets (Howard et al., arXiv 1905.02244)."""

from __future__ import annotations

import jax
from flax import linen as nn

from workloads import Built
from workloads.vision.inverted import InvertedResidual, SqueezeExcite
from workloads.vision.layers import ConvNorm, dense, inference

BLOCKS = (
    # kernel, expanded, features, squeezed, hard swish, stride: the paper's table 1; squeezed is a quarter in eights.
    (3, 16, 16, 0, False, 1),
    (3, 64, 24, 0, False, 2),
    (3, 72, 24, 0, False, 1),
    (5, 72, 40, 24, False, 2),
    (5, 120, 40, 32, False, 1),
    (5, 120, 40, 32, False, 1),
    (3, 240, 80, 0, True, 2),
    (3, 200, 80, 0, True, 1),
    (3, 184, 80, 0, True, 1),
    (3, 184, 80, 0, True, 1),
    (3, 480, 112, 120, True, 1),
    (3, 672, 112, 168, True, 1),
    (5, 672, 160, 168, True, 2),
    (5, 960, 160, 240, True, 1),
    (5, 960, 160, 240, True, 1),
)


class MobileNetV3(nn.Module):
    """MobileNetV3-Large with 1000 classes."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, 224, 224, 3] -> logits [batch, 1000]."""
        x = ConvNorm(16, (3, 3), 2, activation=nn.hard_swish)(x)
        for kernel, expanded, features, squeezed, hard_swish, stride in BLOCKS:
            squeeze = SqueezeExcite(squeezed, nn.relu, nn.hard_sigmoid) if squeezed else None
            activation = nn.hard_swish if hard_swish else nn.relu
            x = InvertedResidual(expanded, features, kernel, stride, activation, squeeze)(x)
        x = ConvNorm(960, activation=nn.hard_swish)(x).mean((1, 2))
        return dense(1000)(nn.hard_swish(dense(1280)(x)))


def mobilenet_v3() -> Built:
    """Inference, batch 32, weights in bf16."""
    return inference(MobileNetV3(), 32, 224)
