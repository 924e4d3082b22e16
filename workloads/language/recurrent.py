"""Recurrent language models."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from workloads import Built


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
