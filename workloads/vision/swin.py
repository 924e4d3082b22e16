"""Swin transformers (Liu et al., arXiv 2103.14030)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables, in_bfloat16
from workloads.transformer import FeedForward, SelfAttention


def relative_index(window: int) -> np.ndarray:
    """Row of the bias table for each pair of tokens in a window: i32[window**2, window**2]."""
    places = np.stack(np.divmod(np.arange(window * window), window), -1)
    offsets = places[:, None] - places[None] + window - 1
    return offsets[..., 0] * (2 * window - 1) + offsets[..., 1]


def partition(x: jax.Array, window: int) -> jax.Array:
    """[batch, height, width, channels] -> [batch, windows, window**2, channels]."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // window, window, width // window, window, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, window * window, channels)


def merge(x: jax.Array, size: int, window: int) -> jax.Array:
    """[batch, windows, window**2, channels] -> [batch, size, size, channels]; undoes `partition`."""
    batch, _, _, channels = x.shape
    x = x.reshape(batch, size // window, size // window, window, window, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, size, size, channels)


def shift_mask(size: int, window: int, shift: int) -> np.ndarray:
    """-100 between tokens that are neighbours only because a shifted map wraps: f32[windows, window**2, window**2]."""
    part = np.searchsorted([size - window, size - shift], np.arange(size), side="right")
    tiles = (3 * part[:, None] + part).reshape(size // window, window, size // window, window)
    regions = tiles.transpose(0, 2, 1, 3).reshape(-1, window * window)
    return np.where(regions[:, :, None] == regions[:, None], 0.0, -100.0).astype(np.float32)


class SwinBlock(nn.Module):
    """Attention inside windows of a rolled feature map, and a feed-forward layer, each with a residual."""

    heads: int
    window: int
    shift: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, size, size, channels] -> the same."""
        size, channels = x.shape[2:]
        table = self.param("bias", nn.initializers.zeros, ((2 * self.window - 1) ** 2, self.heads))
        bias = table[relative_index(self.window)].transpose(2, 0, 1).astype(jnp.float32)
        y = nn.LayerNorm(dtype=jnp.bfloat16)(x)
        if self.shift:
            bias = bias + shift_mask(size, self.window, self.shift)[:, None]
            y = jnp.roll(y, (-self.shift, -self.shift), (1, 2))
        y = merge(SelfAttention(self.heads)(partition(y, self.window), bias), size, self.window)
        x = x + (jnp.roll(y, (self.shift, self.shift), (1, 2)) if self.shift else y)
        return x + FeedForward(4 * channels)(nn.LayerNorm(dtype=jnp.bfloat16)(x))


class Swin(nn.Module):
    """Four stages of blocks, halving the map between them, with 1000 classes."""

    width: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (3, 6, 12, 24)
    window: int = 7

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """[batch, size, size, 3] -> logits f32[batch, 1000]."""
        x = nn.Conv(self.width, (4, 4), (4, 4), padding="VALID", dtype=jnp.bfloat16)(images)
        x = nn.LayerNorm(dtype=jnp.bfloat16)(x)
        for stage, (depth, heads) in enumerate(zip(self.depths, self.heads, strict=True)):
            if stage:
                quarters = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
                x = nn.LayerNorm(dtype=jnp.bfloat16)(jnp.concatenate(quarters, -1))
                x = nn.Dense(self.width * 2**stage, use_bias=False, dtype=jnp.bfloat16)(x)
            for block in range(depth):
                shifted = block % 2 and x.shape[1] > self.window
                x = SwinBlock(heads, self.window, self.window // 2 if shifted else 0)(x)
        x = nn.LayerNorm(dtype=jnp.bfloat16)(x).mean((1, 2))
        logits: jax.Array = nn.Dense(1000, dtype=jnp.bfloat16)(x).astype(jnp.float32)
        return logits


def swin_t() -> Built:
    """Inference of Swin-T, batch 8 of 224x224, weights in bf16."""
    model = Swin()
    images = jax.ShapeDtypeStruct((8, 224, 224, 3), jnp.bfloat16)

    def infer(variables: Any, images: jax.Array) -> Any:
        return model.apply(variables, images)

    return infer, (in_bfloat16(abstract_variables(model, images)), images)
