"""A residual convolutional network's training step (He et al., arXiv 1512.03385, basic blocks, no batch norm)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from workloads import Built
from workloads.offload import Remat, through_layers
from workloads.training import cross_entropy, momentum_step

CLASSES = 128


def _convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """[batch, height, width, in] and [h, w, in, out] -> [batch, height, width, out]."""
    layout = jax.lax.conv_dimension_numbers(x.shape, kernel.shape, ("NHWC", "HWIO", "NHWC"))
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)


def training_step(remat: Remat, *, blocks: int, features: int, batch: int, size: int, unrolled: bool) -> Built:
    """One step on images [batch, size, size, features]: f32 weights and momentum, both donated, bf16 compute.

    Alike blocks of two 3x3 convolutions with a residual. Named are each block's input, what its two convolutions give,
    and what the second one reads.
    """
    weights = {
        "first": jax.ShapeDtypeStruct((blocks, 3, 3, features, features), jnp.float32),
        "second": jax.ShapeDtypeStruct((blocks, 3, 3, features, features), jnp.float32),
        "head": jax.ShapeDtypeStruct((features, CLASSES), jnp.float32),
    }

    def residual_block(ending: str) -> Callable[..., Any]:
        def named(value: jax.Array, name: str) -> jax.Array:
            return checkpoint_name(value, name + ending)

        @remat
        def residual(x: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
            x = named(x, "block/input")
            y = named(_convolve(x, first), "block/first")
            y = named(_convolve(named(jax.nn.gelu(y), "block/active"), second), "block/second")
            return x + jax.nn.gelu(y)

        return lambda x, kernels: residual(x, *kernels)

    def loss(weights: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
        weights = jax.tree.map(lambda w: w.astype(jnp.bfloat16), weights)
        x = through_layers(residual_block, images, (weights["first"], weights["second"]), unrolled)
        return cross_entropy(x.mean((1, 2)) @ weights["head"], labels)

    def train(weights: Any, velocity: Any, images: jax.Array, labels: jax.Array) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, images, labels)
        return *momentum_step(weights, velocity, gradients), value

    images = jax.ShapeDtypeStruct((batch, size, size, features), jnp.bfloat16)
    return jax.jit(train, donate_argnums=(0, 1)), (weights, weights, images, jax.ShapeDtypeStruct((batch,), jnp.int32))


def convolutional(remat: Remat, batch: int = 32) -> Built:
    """8 blocks of 128 features, images of 64x64, as a scan."""
    return training_step(remat, blocks=8, features=128, batch=batch, size=64, unrolled=False)


def unrolled_convolutional(remat: Remat) -> Built:
    """4 blocks of 128 features, 32 images of 64x64, each block on its own."""
    return training_step(remat, blocks=4, features=128, batch=32, size=64, unrolled=True)


def large_convolutional(remat: Remat) -> Built:
    """8 blocks of 512 features, 64 images of 64x64, each block on its own: for a GPU of 80 GB."""
    return training_step(remat, blocks=8, features=512, batch=64, size=64, unrolled=True)


def tiny_convolutional(remat: Remat, batch: int = 2) -> Built:
    """3 blocks of 16 features, images of 16x16, as a scan, for tests."""
    return training_step(remat, blocks=3, features=16, batch=batch, size=16, unrolled=False)


def tiny_unrolled_convolutional(remat: Remat) -> Built:
    """The same, each block on its own."""
    return training_step(remat, blocks=3, features=16, batch=2, size=16, unrolled=True)
