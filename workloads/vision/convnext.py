"""ConvNeXt networks (Liu et al., arXiv 2201.03545)."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.vision.layers import dense, inference

_norm = partial(nn.LayerNorm, epsilon=1e-6, dtype=jnp.bfloat16)


class Block(nn.Module):
    """7x7 depthwise convolution, layer norm, four times wider pointwise layer with GELU, scaled residual."""

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, None]:
        """[batch, height, width, channels] -> the same shape, as one round of a scan."""
        channels = x.shape[-1]
        y = nn.Conv(channels, (7, 7), feature_group_count=channels, dtype=jnp.bfloat16)(x)
        y = nn.gelu(dense(4 * channels)(_norm()(y)), approximate=False)
        scale = self.param("scale", nn.initializers.constant(1e-6), (channels,))
        return x + scale.astype(jnp.bfloat16) * dense(channels)(y), None


class ConvNeXtT(nn.Module):
    """ConvNeXt-T with 1000 classes; the blocks of a stage are one scan over stacked weights."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, 224, 224, 3] -> logits [batch, 1000]."""
        x = _norm()(nn.Conv(96, (4, 4), (4, 4), dtype=jnp.bfloat16)(x))
        for stage, blocks in enumerate((3, 3, 9, 3)):
            if stage:
                x = nn.Conv(96 * 2**stage, (2, 2), (2, 2), dtype=jnp.bfloat16)(_norm()(x))
            x = nn.scan(Block, {"params": 0}, split_rngs={"params": True}, length=blocks)()(x)[0]
        return dense(1000)(_norm()(x.mean((1, 2))))


def convnext_t() -> Built:
    """Inference, batch 32, weights in bf16."""
    return inference(ConvNeXtT(), 32, 224)
