"""Wide & Deep (Cheng et al., arXiv 1606.07792): a linear model of crosses beside dense layers of embeddings."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp

from workloads import Built

FEATURES, ROWS, WIDTH = 20, 10_000, 128
CROSSES, CROSSED = 10, 1_000_000
LAYERS = (FEATURES * WIDTH, 1024, 512, 256, 1)
RATE = 0.01


def logits(rows: jax.Array, wide: jax.Array, layers: Any) -> jax.Array:
    """f32[batch] from embeddings f32[batch, FEATURES, WIDTH] and weights of crosses f32[batch, CROSSES]."""
    x = rows.reshape(rows.shape[0], -1).astype(jnp.bfloat16)
    for number, (weights, bias) in enumerate(layers, 1):
        x = x @ weights.astype(x.dtype) + bias.astype(x.dtype)
        x = jax.nn.relu(x) if number < len(layers) else x
    return x[:, 0].astype(jnp.float32) + wide.sum(-1)


def loss(rows: jax.Array, wide: jax.Array, layers: Any, clicked: jax.Array) -> jax.Array:
    """Mean logistic loss; clicked is f32[batch], 0 or 1."""
    value = logits(rows, wide, layers)
    return jnp.mean(jnp.logaddexp(0, value) - clicked * value)


def update(table: jax.Array, squares: jax.Array, ids: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Adagrad on the rows ``ids`` alone: table and sums of squares [rows, ...], gradient [*ids.shape, ...]."""
    squares = squares.at[ids].add(gradient**2)
    return table.at[ids].add(-RATE * gradient * jax.lax.rsqrt(squares[ids] + 1e-6)), squares


def update_dense(weight: jax.Array, squares: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Adagrad on all of a weight."""
    squares = squares + gradient**2
    return weight - RATE * gradient * jax.lax.rsqrt(squares + 1e-6), squares


def train(weights: Any, squares: Any, ids: jax.Array, crosses: jax.Array, clicked: jax.Array) -> Any:
    """One step: new weights, new sums of squares, and the loss.

    Args:
        weights: embeddings f32[FEATURES * ROWS, WIDTH], crosses' f32[CROSSED], list of layers' (weights, bias).
        squares: the same structure.
        ids: rows of the embeddings, i32[batch, FEATURES].
        crosses: hashes of crossed features, i32[batch, CROSSES].
        clicked: f32[batch].
    """
    embeddings, wide, layers = weights
    value, gradients = jax.value_and_grad(loss, (0, 1, 2))(embeddings[ids], wide[crosses], layers, clicked)
    embeddings, embeddings_squares = update(embeddings, squares[0], ids, gradients[0])
    wide, wide_squares = update(wide, squares[1], crosses, gradients[1])
    pairs = jax.tree.map(update_dense, layers, squares[2], gradients[2])
    layers, layers_squares = jax.tree.transpose(jax.tree.structure(layers), jax.tree.structure((0, 0)), pairs)
    return (embeddings, wide, layers), (embeddings_squares, wide_squares, layers_squares), value


def wide_and_deep() -> Built:
    """Batch 4096, f32 weights, bf16 layers; weights and sums of squares are donated, so tables are updated in place."""
    batch = 4096
    weights = (
        jax.ShapeDtypeStruct((FEATURES * ROWS, WIDTH), jnp.float32),
        jax.ShapeDtypeStruct((CROSSED,), jnp.float32),
        [
            (jax.ShapeDtypeStruct((a, b), jnp.float32), jax.ShapeDtypeStruct((b,), jnp.float32))
            for a, b in pairwise(LAYERS)
        ],
    )
    return jax.jit(train, donate_argnums=(0, 1)), (
        weights,
        weights,
        jax.ShapeDtypeStruct((batch, FEATURES), jnp.int32),
        jax.ShapeDtypeStruct((batch, CROSSES), jnp.int32),
        jax.ShapeDtypeStruct((batch,), jnp.float32),
    )
