"""A dense network, data parallel."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from workloads import Built
from workloads.sharded.placement import mesh, place
from workloads.training import momentum_step

LAYERS, WIDTH, BATCH, DEVICES = 8, 2048, 4096, 4


def train(layers: list[jax.Array], velocity: list[jax.Array], inputs: jax.Array, wanted: jax.Array) -> Any:
    """One step of relu layers f32[width, width] on bf16[batch, width], squared error: layers, velocity and loss."""

    def loss(layers: list[jax.Array]) -> jax.Array:
        x = inputs
        for weights in layers:
            x = jax.nn.relu(x @ weights.astype(x.dtype))
        return jnp.mean((x - wanted).astype(jnp.float32) ** 2)

    value, gradients = jax.value_and_grad(loss)(layers)
    return *momentum_step(layers, velocity, gradients), value


def data_parallel_train() -> Built:
    """A quarter of the batch on each of 4 devices, all weights on each; weights and momentum are donated."""
    devices = mesh(data=DEVICES)
    layers = place([jax.ShapeDtypeStruct((WIDTH, WIDTH), jnp.float32)] * LAYERS, devices)
    batch = place(jax.ShapeDtypeStruct((BATCH, WIDTH), jnp.bfloat16), devices, "data")
    return jax.jit(train, donate_argnums=(0, 1)), (layers, layers, batch, batch)
