"""Recurrent language models."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from workloads import Built
from workloads.training import cross_entropy, momentum_step


def lstm() -> Built:
    """Logits of a 2-layer LSTM language model: batch 64, 64 tokens, width 1024, vocabulary 10000, bf16."""
    batch, tokens, width, vocabulary = 64, 64, 1024, 10000

    def cell(carry: tuple[jax.Array, jax.Array], x: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        hidden, memory = carry
        gates = jnp.concatenate([x, hidden], -1) @ weights
        take, forget, give, new = jnp.split(gates, 4, -1)
        memory = jax.nn.sigmoid(forget) * memory + jax.nn.sigmoid(take) * jnp.tanh(new)
        return jax.nn.sigmoid(give) * jnp.tanh(memory), memory

    def infer(embedding: jax.Array, cells: list[jax.Array], output: jax.Array, inputs: jax.Array) -> jax.Array:
        def step(carry: Any, ids: jax.Array) -> Any:
            x = embedding[ids]
            states = []
            for state, weights in zip(carry, cells, strict=True):
                state = cell(state, x, weights)
                states.append(state)
                x = state[0]
            return states, x

        zero = jnp.zeros((batch, width), jnp.bfloat16)
        hidden = jax.lax.scan(step, [(zero, zero) for _ in cells], inputs)[1]
        return hidden @ output

    return infer, (
        jax.ShapeDtypeStruct((vocabulary, width), jnp.bfloat16),
        [jax.ShapeDtypeStruct((2 * width, 4 * width), jnp.bfloat16) for _ in range(2)],
        jax.ShapeDtypeStruct((width, vocabulary), jnp.bfloat16),
        jax.ShapeDtypeStruct((tokens, batch), jnp.int32),
    )


def gru_cell(hidden: jax.Array, x: jax.Array, gates: jax.Array, candidate: jax.Array) -> jax.Array:
    """One step of a gated recurrent unit (Cho et al. 2014, section 2.3).

    Args:
        hidden: [batch, width].
        x: [batch, 3 * width], the input's part of reset gate, update gate and candidate.
        gates: [width, 2 * width], recurrent weights of both gates.
        candidate: [width, width], recurrent weights of the candidate.

    Returns:
        The new hidden state, [batch, width].
    """
    from_reset, from_update, from_candidate = jnp.split(x, 3, -1)
    reset, update = jnp.split(hidden @ gates, 2, -1)
    new = jnp.tanh(from_candidate + (jax.nn.sigmoid(from_reset + reset) * hidden) @ candidate)
    keep = jax.nn.sigmoid(from_update + update)
    return keep * hidden + (1 - keep) * new


def gru_train() -> Built:
    """One training step of a GRU language model, back through 64 tokens: batch 32, width 1024, vocabulary 10000."""
    batch, tokens, width, vocabulary = 32, 64, 1024, 10000
    shapes = {
        "embedding": (vocabulary, width),
        "input": (width, 3 * width),
        "bias": (3 * width,),
        "gates": (width, 2 * width),
        "candidate": (width, width),
        "output": (width, vocabulary),
    }
    weights = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}

    def loss(weights: Any, inputs: jax.Array, labels: jax.Array) -> jax.Array:
        weights = jax.tree.map(lambda w: w.astype(jnp.bfloat16), weights)

        def step(hidden: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
            hidden = gru_cell(hidden, x, weights["gates"], weights["candidate"])
            return hidden, hidden

        projected = weights["embedding"][inputs] @ weights["input"] + weights["bias"]
        hidden = jax.lax.scan(step, jnp.zeros((batch, width), jnp.bfloat16), projected)[1]
        return cross_entropy(hidden @ weights["output"], labels)

    def train(weights: Any, velocity: Any, inputs: jax.Array, labels: jax.Array) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, inputs, labels)
        return *momentum_step(weights, velocity, gradients), value

    ids = jax.ShapeDtypeStruct((tokens, batch), jnp.int32)
    return train, (weights, weights, ids, ids)
