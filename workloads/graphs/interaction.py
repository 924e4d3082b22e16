"""A graph network that simulates on meshes (Pfaff et al., arXiv 2010.03409): encode, pass messages, decode."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from workloads import Built

NODES, EDGES = 8_000, 48_000
WIDTH, STEPS = 128, 8
NODE_FEATURES, EDGE_FEATURES, RESULTS = 12, 7, 3

Network = dict[str, jax.Array]


def network(x: jax.Array, weights: Network) -> jax.Array:
    """Two hidden layers with relu, a linear one, and a layer norm (in f32) where there is a ``scale``."""
    x = jax.nn.relu(x @ weights["first"] + weights["first_bias"])
    x = jax.nn.relu(x @ weights["second"] + weights["second_bias"])
    x = x @ weights["third"] + weights["third_bias"]
    if "scale" not in weights:
        return x
    y = x.astype(jnp.float32)
    y = (y - y.mean(-1, keepdims=True)) * jax.lax.rsqrt(y.var(-1, keepdims=True) + 1e-5)
    return (y * weights["scale"] + weights["shift"]).astype(x.dtype)


def simulate(weights: Any, nodes: jax.Array, edges: jax.Array, senders: jax.Array, receivers: jax.Array) -> jax.Array:
    """What changes at each node: bf16[nodes, 12], bf16[edges, 7] and both ends i32[edges] -> bf16[nodes, RESULTS]."""
    nodes, edges = network(nodes, weights["nodes"]), network(edges, weights["edges"])
    for step in weights["steps"]:
        edges = edges + network(jnp.concatenate([edges, nodes[senders], nodes[receivers]], -1), step["edges"])
        arriving = jax.ops.segment_sum(edges.astype(jnp.float32), receivers, nodes.shape[0]).astype(nodes.dtype)
        nodes = nodes + network(jnp.concatenate([nodes, arriving], -1), step["nodes"])
    return network(nodes, weights["results"])


def abstract_network(inputs: int, outputs: int = WIDTH, norm: bool = True) -> dict[str, jax.ShapeDtypeStruct]:
    """Weights of one network, bf16."""
    shapes: dict[str, tuple[int, ...]] = {
        "first": (inputs, WIDTH),
        "first_bias": (WIDTH,),
        "second": (WIDTH, WIDTH),
        "second_bias": (WIDTH,),
        "third": (WIDTH, outputs),
        "third_bias": (outputs,),
    }
    if norm:
        shapes |= {"scale": (outputs,), "shift": (outputs,)}
    return {name: jax.ShapeDtypeStruct(shape, jnp.bfloat16) for name, shape in shapes.items()}


def graph_network() -> Built:
    """Inference of one time step, 8 rounds of messages, bf16 with sums over edges in f32."""
    weights = {
        "nodes": abstract_network(NODE_FEATURES),
        "edges": abstract_network(EDGE_FEATURES),
        "steps": [{"edges": abstract_network(3 * WIDTH), "nodes": abstract_network(2 * WIDTH)} for _ in range(STEPS)],
        "results": abstract_network(WIDTH, RESULTS, norm=False),
    }
    ends = jax.ShapeDtypeStruct((EDGES,), jnp.int32)
    return simulate, (
        weights,
        jax.ShapeDtypeStruct((NODES, NODE_FEATURES), jnp.bfloat16),
        jax.ShapeDtypeStruct((EDGES, EDGE_FEATURES), jnp.bfloat16),
        ends,
        ends,
    )
