"""A denoising step of a latent diffusion model (arXiv 2006.11239 and 2112.10752)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables, in_bfloat16
from workloads.transformer import SelfAttention

STEPS = 1000


def time_embedding(step: jax.Array, width: int) -> jax.Array:
    """Sines and cosines of a step i32[] at ``width / 2`` rates: f32[1, width]."""
    rates = jnp.exp(-jnp.log(10000.0) / (width // 2) * jnp.arange(width // 2))
    angles = step.astype(jnp.float32) * rates
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)])[None]


def denoise(latents: jax.Array, noise: jax.Array, fresh: jax.Array, step: jax.Array) -> jax.Array:
    """One step back from ``latents``, given the ``noise`` found in them and ``fresh`` noise, all f32 of one shape.

    Algorithm 2 of arXiv 2006.11239, betas linear from 1e-4 to 0.02.
    """
    betas = np.linspace(1e-4, 0.02, STEPS)
    beta = jnp.asarray(betas, jnp.float32)[step]
    kept = jnp.asarray(np.cumprod(1 - betas), jnp.float32)[step]
    mean = (latents - beta * jax.lax.rsqrt(1 - kept) * noise) * jax.lax.rsqrt(1 - beta)
    return mean + jnp.where(step > 0, jnp.sqrt(beta), 0.0) * fresh


class GroupNorm(nn.Module):
    """Norm over the map and over groups of channels (Wu and He, arXiv 1803.08494).

    Sums are taken for each channel first: a map with its channels split in groups has no good layout on a TPU.
    """

    groups: int = 32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, channels] -> the same, statistics in f32."""
        batch, channels = x.shape[0], x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        shift = self.param("shift", nn.initializers.zeros, (channels,))
        y = x.astype(jnp.float32)
        sums = jnp.stack([y.mean((1, 2)), (y * y).mean((1, 2))]).reshape(2, batch, self.groups, -1)
        mean, square = sums.mean(-1).repeat(channels // self.groups, -1)
        factor = scale * jax.lax.rsqrt(square - mean * mean + 1e-6)
        return (y * factor[:, None, None] + (shift - mean * factor)[:, None, None]).astype(x.dtype)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with group norm, the time added between, and a residual."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, time: jax.Array) -> jax.Array:
        """[batch, height, width, channels] and [1, time width] -> [batch, height, width, features]."""
        y = nn.silu(GroupNorm()(x))
        y = nn.Conv(self.features, (3, 3), dtype=jnp.bfloat16)(y)
        y = y + nn.Dense(self.features, dtype=jnp.bfloat16)(nn.silu(time))[:, None, None]
        y = nn.silu(GroupNorm()(y))
        y = nn.Conv(self.features, (3, 3), dtype=jnp.bfloat16)(y)
        if x.shape[-1] != self.features:
            x = nn.Conv(self.features, (1, 1), dtype=jnp.bfloat16)(x)
        return x + y


class Denoiser(nn.Module):
    """A U-Net of residual blocks, with attention on the smallest map (16x16, as in arXiv 2006.11239)."""

    features: tuple[int, ...] = (128, 256, 512)
    blocks: int = 1
    head_width: int = 64

    @nn.compact
    def __call__(self, latents: jax.Array, step: jax.Array) -> jax.Array:
        """[batch, height, width, channels] and i32[] -> the noise in it, of the same shape."""
        time = time_embedding(step, self.features[0]).astype(jnp.bfloat16)
        time = nn.silu(nn.Dense(4 * self.features[0], dtype=jnp.bfloat16)(time))
        time = nn.Dense(4 * self.features[0], dtype=jnp.bfloat16)(time)

        def attended(x: jax.Array) -> jax.Array:
            tokens = GroupNorm()(x).reshape(len(x), -1, x.shape[-1])
            return x + SelfAttention(x.shape[-1] // self.head_width)(tokens).reshape(x.shape)

        x = nn.Conv(self.features[0], (3, 3), dtype=jnp.bfloat16)(latents)
        skips = [x]
        for level, features in enumerate(self.features):
            if level:
                x = nn.Conv(x.shape[-1], (3, 3), (2, 2), dtype=jnp.bfloat16)(x)
                skips.append(x)
            for _ in range(self.blocks):
                x = ResidualBlock(features)(x, time)
                x = attended(x) if features == self.features[-1] else x
                skips.append(x)
        x = ResidualBlock(x.shape[-1])(attended(ResidualBlock(x.shape[-1])(x, time)), time)
        for level, features in reversed(list(enumerate(self.features))):
            for _ in range(self.blocks + 1):
                x = ResidualBlock(features)(jnp.concatenate([x, skips.pop()], -1), time)
                x = attended(x) if features == self.features[-1] else x
            if level:
                x = nn.Conv(features, (3, 3), dtype=jnp.bfloat16)(x.repeat(2, 1).repeat(2, 2))
        x = nn.silu(GroupNorm()(x))
        noise: jax.Array = nn.Conv(latents.shape[-1], (3, 3), dtype=jnp.bfloat16)(x)
        return noise


def diffusion_step() -> Built:
    """One denoising step, latents f32 8 x 64x64x4, weights in bf16."""
    model = Denoiser()
    latents = jax.ShapeDtypeStruct((8, 64, 64, 4), jnp.float32)
    step = jax.ShapeDtypeStruct((), jnp.int32)

    def infer(variables: Any, latents: jax.Array, fresh: jax.Array, step: jax.Array) -> Any:
        noise: Any = model.apply(variables, latents.astype(jnp.bfloat16), step)
        return denoise(latents, noise.astype(jnp.float32), fresh, step)

    return infer, (in_bfloat16(abstract_variables(model, latents, step)), latents, latents, step)
