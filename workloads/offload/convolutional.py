"""A residual convolutional network's training step (He et al., arXiv 1512.03385, basic blocks, no batch norm)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from workloads import Built
from workloads.offload import Remat
from workloads.training import cross_entropy, momentum_step

CLASSES = 128


def _convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """[batch, height, width, in] and [h, w, in, out] -> [batch, height, width, out]."""
    layout = jax.lax.conv_dimension_numbers(x.shape, kernel.shape, ("NHWC", "HWIO", "NHWC"))
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)


def training_step(remat: Remat, *, blocks: int, features: int, batch: int, size: int) -> Built:
    """One step on images [batch, size, size, features]: f32 weights and momentum, both donated, bf16 compute.

    A scan over alike blocks of two 3x3 convolutions with a residual. Named are each block's input and what its two
    convolutions give.
    """
    weights = {
        "first": jax.ShapeDtypeStruct((blocks, 3, 3, features, features), jnp.float32),
        "second": jax.ShapeDtypeStruct((blocks, 3, 3, features, features), jnp.float32),
        "head": jax.ShapeDtypeStruct((features, CLASSES), jnp.float32),
    }

    @remat
    def residual(x: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
        x = checkpoint_name(x, "block/input")
        y = checkpoint_name(_convolve(x, first), "block/first")
        y = checkpoint_name(_convolve(jax.nn.gelu(y), second), "block/second")
        return x + jax.nn.gelu(y)

    def loss(weights: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
        weights = jax.tree.map(lambda w: w.astype(jnp.bfloat16), weights)
        kernels = weights["first"], weights["second"]
        x, _ = jax.lax.scan(lambda x, pair: (residual(x, *pair), None), images, kernels)
        return cross_entropy(x.mean((1, 2)) @ weights["head"], labels)

    def train(weights: Any, velocity: Any, images: jax.Array, labels: jax.Array) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, images, labels)
        return *momentum_step(weights, velocity, gradients), value

    images = jax.ShapeDtypeStruct((batch, size, size, features), jnp.bfloat16)
    return jax.jit(train, donate_argnums=(0, 1)), (weights, weights, images, jax.ShapeDtypeStruct((batch,), jnp.int32))


def convolutional(remat: Remat) -> Built:
    """8 blocks of 128 features, 32 images of 64x64."""
    return training_step(remat, blocks=8, features=128, batch=32, size=64)


def tiny_convolutional(remat: Remat) -> Built:
    """3 blocks of 16 features, 2 images of 16x16, for tests."""
    return training_step(remat, blocks=3, features=16, batch=2, size=16)
