"""Inception-v3 (Szegedy et al., arXiv 1512.00567)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.vision.layers import ConvNorm, dense, inference

Kernel = tuple[int, int]


def tower(x: jax.Array, *layers: tuple[int, Kernel], stride: int = 1) -> jax.Array:
    """Normalised convolutions (features, kernel) in a row; a stride of 2 is the last one's, without padding."""
    for features, kernel in layers[:-1]:
        x = ConvNorm(features, kernel)(x)
    return ConvNorm(*layers[-1], stride, padding="SAME" if stride == 1 else "VALID")(x)


def pooled(x: jax.Array, features: int) -> jax.Array:
    """A 3x3 mean, then a pointwise convolution."""
    return ConvNorm(features)(nn.avg_pool(x, (3, 3), padding="SAME"))


class Square(nn.Module):
    """Figure 5 of the paper, with a 5x5 in one tower as in the published network: 35x35 maps."""

    pool: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, 35, 35, channels] -> [batch, 35, 35, 224 + pool]."""
        single = tower(x, (64, (1, 1)))
        five = tower(x, (48, (1, 1)), (64, (5, 5)))
        double = tower(x, (64, (1, 1)), (96, (3, 3)), (96, (3, 3)))
        return jnp.concatenate([single, five, double, pooled(x, self.pool)], -1)


class Factorised(nn.Module):
    """Figure 6: 7x7 convolutions as 1x7 and 7x1, on 17x17 maps.

    Attributes:
        width: channels between them.
    """

    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, 17, 17, 768] -> the same shape."""
        row, column = (self.width, (1, 7)), (self.width, (7, 1))
        single = tower(x, (192, (1, 1)))
        once = tower(x, (self.width, (1, 1)), row, (192, (7, 1)))
        twice = tower(x, (self.width, (1, 1)), column, row, column, (192, (1, 7)))
        return jnp.concatenate([single, once, twice, pooled(x, 192)], -1)


class Wide(nn.Module):
    """Figure 7: 3x3 convolutions as 1x3 beside 3x1, on 8x8 maps."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, 8, 8, channels] -> [batch, 8, 8, 2048]."""
        once = tower(x, (384, (1, 1)))
        twice = tower(x, (448, (1, 1)), (384, (3, 3)))
        pairs = [tower(y, (384, kernel)) for y in (once, twice) for kernel in ((1, 3), (3, 1))]
        return jnp.concatenate([tower(x, (320, (1, 1))), *pairs, pooled(x, 192)], -1)


class Smaller(nn.Module):
    """Halves the map: each tower (features, kernel) ends with a stride of 2, beside a pool."""

    towers: tuple[tuple[tuple[int, Kernel], ...], ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, size, size, channels] -> [batch, (size-1)/2, (size-1)/2, channels + the towers' features]."""
        return jnp.concatenate([*(tower(x, *t, stride=2) for t in self.towers), nn.max_pool(x, (3, 3), (2, 2))], -1)


class InceptionV3(nn.Module):
    """Inception-v3 with 1000 classes, without the auxiliary classifier of training."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, 299, 299, 3] -> logits [batch, 1000]."""
        one, three = (1, 1), (3, 3)
        x = ConvNorm(32, three, 2, padding="VALID")(x)
        x = ConvNorm(64, three)(ConvNorm(32, three, padding="VALID")(x))
        x = ConvNorm(192, three, padding="VALID")(ConvNorm(80)(nn.max_pool(x, three, (2, 2))))
        x = nn.max_pool(x, three, (2, 2))
        for pool in (32, 64, 64):
            x = Square(pool)(x)
        x = Smaller((((384, three),), ((64, one), (96, three), (96, three))))(x)
        for width in (128, 160, 160, 192):
            x = Factorised(width)(x)
        x = Smaller((((192, one), (320, three)), ((192, one), (192, (1, 7)), (192, (7, 1)), (192, three))))(x)
        x = Wide()(Wide()(x))
        return dense(1000)(x.mean((1, 2)))


def inception_v3() -> Built:
    """Inference, batch 16, weights in bf16."""
    return inference(InceptionV3(), 16, 299)
