"""DLRM (Naumov et al., arXiv 1906.00091): embeddings of categories, their pairwise products, and dense layers."""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from workloads import Built

TABLES, ROWS, WIDTH, NUMBERS = 26, 100_000, 128, 13
BOTTOM = (NUMBERS, 512, 256, WIDTH)
TOP = (WIDTH + (TABLES + 1) * TABLES // 2, 1024, 1024, 512, 256, 1)

Layers = list[tuple[jax.Array, jax.Array]]


def dense(x: jax.Array, layers: Layers) -> jax.Array:
    """Layers of (weights, bias) with relu, the last one's left out."""
    for number, (weights, bias) in enumerate(layers, 1):
        x = x @ weights + bias
        x = jax.nn.relu(x) if number < len(layers) else x
    return x


def interactions(vectors: jax.Array) -> jax.Array:
    """Products of all pairs: [batch, vectors, width] -> [batch, vectors * (vectors - 1) / 2]."""
    low, high = np.tril_indices(vectors.shape[1], -1)
    return jnp.einsum("bnd,bmd->bnm", vectors, vectors)[:, low, high]


def infer(tables: list[jax.Array], bottom: Layers, top: Layers, numbers: jax.Array, categories: jax.Array) -> jax.Array:
    """Click probabilities f32[batch] of numbers bf16[batch, NUMBERS] and categories i32[TABLES, batch]."""
    first = jax.nn.relu(dense(numbers, bottom))
    found = [table[ids].astype(first.dtype) for table, ids in zip(tables, categories, strict=True)]
    crossed = interactions(jnp.stack([first, *found], 1))
    logits = dense(jnp.concatenate([first, crossed], -1), top)
    return jax.nn.sigmoid(logits[:, 0].astype(jnp.float32))


def dlrm() -> Built:
    """Batch 2048, one category a table; tables in f32, layers in bf16."""
    batch = 2048

    def layers(sizes: tuple[int, ...]) -> list[tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]]:
        return [
            (jax.ShapeDtypeStruct((a, b), jnp.bfloat16), jax.ShapeDtypeStruct((b,), jnp.bfloat16))
            for a, b in pairwise(sizes)
        ]

    return infer, (
        [jax.ShapeDtypeStruct((ROWS, WIDTH), jnp.float32)] * TABLES,
        layers(BOTTOM),
        layers(TOP),
        jax.ShapeDtypeStruct((batch, NUMBERS), jnp.bfloat16),
        jax.ShapeDtypeStruct((TABLES, batch), jnp.int32),
    )
