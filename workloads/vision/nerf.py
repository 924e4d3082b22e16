"""A neural radiance field rendered along rays (Mildenhall et al., arXiv 2003.08934)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables, in_bfloat16
from workloads.vision.layers import dense


def encode(x: jax.Array, frequencies: int) -> jax.Array:
    """The paper's equation 4 beside its input: f32[..., 3] -> f32[..., 3 + 6 * frequencies]."""
    angles = (x[..., None, :] * (jnp.pi * 2.0 ** jnp.arange(frequencies))[:, None]).reshape(*x.shape[:-1], -1)
    return jnp.concatenate([x, jnp.sin(angles), jnp.cos(angles)], -1)


class Field(nn.Module):
    """Density and colour: 8 layers of 256 with the position again at the fifth, then a layer that sees the view."""

    @nn.compact
    def __call__(self, position: jax.Array, view: jax.Array) -> tuple[jax.Array, jax.Array]:
        """position [..., 63], view [..., 27] -> density f32[...] >= 0, colour f32[..., 3] in 0..1."""
        hidden = position
        for layer in range(8):
            if layer == 5:
                hidden = jnp.concatenate([position, hidden], -1)
            hidden = nn.relu(dense(256)(hidden))
        density = nn.relu(dense(1)(hidden).astype(jnp.float32))[..., 0]
        hidden = nn.relu(dense(128)(jnp.concatenate([dense(256)(hidden), view], -1)))
        return density, nn.sigmoid(dense(3)(hidden).astype(jnp.float32))


def composite(density: jax.Array, colour: jax.Array, step: float) -> jax.Array:
    """Equation 3 with equal steps: density f32[rays, samples], colour f32[rays, samples, 3] -> f32[rays, 3].

    A sample's weight is the light that reaches it, ``exp(-sum of density * step before it)``, times what it absorbs.
    """
    thickness = density * step
    reached = jnp.exp(thickness - jnp.cumsum(thickness, -1))
    return jnp.einsum("rs,rsc->rc", reached * -jnp.expm1(-thickness), colour)


def nerf() -> Built:
    """Colours of 1024 rays with 192 samples each between depths 2 and 6, weights in bf16."""
    rays, samples, near, far = 1024, 192, 2.0, 6.0
    step = (far - near) / samples
    field = Field()
    weights = abstract_variables(field, jnp.zeros((1, 63), jnp.bfloat16), jnp.zeros((1, 27), jnp.bfloat16))

    def render(weights: Any, origins: jax.Array, directions: jax.Array) -> jax.Array:
        depths = near + step * (jnp.arange(samples) + 0.5)
        points = origins[:, None] + depths[:, None] * directions[:, None]
        views = encode(directions / jnp.linalg.norm(directions, axis=-1, keepdims=True), 4).astype(jnp.bfloat16)
        views = jnp.broadcast_to(views[:, None], (rays, samples, 27))
        shaded: Any = field.apply(weights, encode(points, 10).astype(jnp.bfloat16), views)
        density, colour = shaded
        return composite(density, colour, step)

    vectors = jax.ShapeDtypeStruct((rays, 3), jnp.float32)
    return render, (in_bfloat16(weights), vectors, vectors)
