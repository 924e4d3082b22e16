"""Graph convolutional network (Kipf and Welling, arXiv 1609.02907)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp

from workloads import Built
from workloads.training import cross_entropy, momentum_step

NODES, EDGES = 20_000, 160_000
SIZES = (128, 256, 256, 40)
"""Features, two hidden layers, classes."""


def layer(x: jax.Array, weights: jax.Array, senders: jax.Array, receivers: jax.Array, scale: jax.Array) -> jax.Array:
    """Nodes bf16[nodes, in] -> f32[nodes, out]: products with weights, summed over edges scaled by f32[edges]."""
    messages = (x @ weights)[senders].astype(jnp.float32) * scale[:, None]
    return jax.ops.segment_sum(messages, receivers, x.shape[0])


def infer(layers: list[jax.Array], nodes: jax.Array, *edges: jax.Array) -> jax.Array:
    """Logits f32[nodes, classes]; edges are senders i32, receivers i32, scales f32, self-edges among them."""
    x = nodes.astype(jnp.bfloat16)
    for weights in layers[:-1]:
        x = jax.nn.relu(layer(x, weights.astype(x.dtype), *edges)).astype(x.dtype)
    return layer(x, layers[-1].astype(x.dtype), *edges)


def graph_convolution() -> Built:
    """One training step on the whole graph: 3 layers, f32 weights and momentum, bf16 products and f32 sums."""

    def loss(layers: Any, nodes: jax.Array, labels: jax.Array, *edges: jax.Array) -> jax.Array:
        return cross_entropy(infer(layers, nodes, *edges), labels)

    def train(layers: Any, velocity: Any, nodes: jax.Array, labels: jax.Array, *edges: jax.Array) -> Any:
        value, gradients = jax.value_and_grad(loss)(layers, nodes, labels, *edges)
        return *momentum_step(layers, velocity, gradients), value

    layers = [jax.ShapeDtypeStruct(sizes, jnp.float32) for sizes in pairwise(SIZES)]
    ends = jax.ShapeDtypeStruct((NODES + EDGES,), jnp.int32)
    return train, (
        layers,
        layers,
        jax.ShapeDtypeStruct((NODES, SIZES[0]), jnp.float32),
        jax.ShapeDtypeStruct((NODES,), jnp.int32),
        ends,
        ends,
        jax.ShapeDtypeStruct(ends.shape, jnp.float32),
    )
