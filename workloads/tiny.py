"""Models that compile in a second or two, for tests."""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp

from workloads import Built


def tiny() -> Built:
    """Four 3x3 convolutions with relu and a classifier, batch 8 of 64x64, bf16."""

    def infer(x: jax.Array, kernels: list[jax.Array], classifier: jax.Array) -> jax.Array:
        for kernel in kernels:
            layout = jax.lax.conv_dimension_numbers(x.shape, kernel.shape, ("NHWC", "HWIO", "NHWC"))
            x = jax.nn.relu(jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout))
        return x.mean((1, 2)) @ classifier

    widths = (32, 64, 128, 128, 256)
    kernels = [jax.ShapeDtypeStruct((3, 3, a, b), jnp.bfloat16) for a, b in pairwise(widths)]
    images = jax.ShapeDtypeStruct((8, 64, 64, widths[0]), jnp.bfloat16)
    return infer, (images, kernels, jax.ShapeDtypeStruct((widths[-1], 1000), jnp.bfloat16))


def tiny_scan() -> Built:
    """A scan over 6 residual dense layers of 1024, batch 512, and a classifier, bf16."""

    def infer(x: jax.Array, layers: jax.Array, classifier: jax.Array) -> jax.Array:
        x, _ = jax.lax.scan(lambda x, weights: (x + jax.nn.relu(x @ weights), None), x, layers)
        return x @ classifier

    return infer, (
        jax.ShapeDtypeStruct((512, 1024), jnp.bfloat16),
        jax.ShapeDtypeStruct((6, 1024, 1024), jnp.bfloat16),
        jax.ShapeDtypeStruct((1024, 1000), jnp.bfloat16),
    )
