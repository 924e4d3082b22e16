"""A Llama model (Touvron et al., arXiv 2302.13971) with TinyLlama's sizes (arXiv 2401.02385) and 8 of its 22 layers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from workloads import Built
from workloads.language.layers import Weights, abstract_weights, rms_norm

LAYERS = 8
WIDTH = 2048
HIDDEN = 5632
HEAD_WIDTH = 64
GROUPS = 4
"""Key-value heads: 8 of the 32 query heads read one (grouped-query attention)."""
VOCABULARY = 32000
CONTEXT = 1024

_LAYER = {
    "query": (WIDTH, WIDTH),
    "key": (WIDTH, GROUPS * HEAD_WIDTH),
    "value": (WIDTH, GROUPS * HEAD_WIDTH),
    "out": (WIDTH, WIDTH),
    "gate": (WIDTH, HIDDEN),
    "up": (WIDTH, HIDDEN),
    "down": (HIDDEN, WIDTH),
    "norm1": (WIDTH,),
    "norm2": (WIDTH,),
}
_ENDS = {"embedding": (VOCABULARY, WIDTH), "norm": (WIDTH,), "output": (WIDTH, VOCABULARY)}


def rotate(x: jax.Array, positions: jax.Array) -> jax.Array:
    """Rotary embedding: x [batch, tokens, heads, head width], positions i32[tokens] -> the shape and type of ``x``."""
    half = x.shape[-1] // 2
    angles = positions[:, None] * 10000.0 ** (-jnp.arange(half, dtype=jnp.float32) / half)
    sine, cosine = jnp.sin(angles)[:, None], jnp.cos(angles)[:, None]
    left, right = jnp.split(x.astype(jnp.float32), 2, -1)
    return jnp.concatenate([left * cosine - right * sine, right * cosine + left * sine], -1).astype(x.dtype)


def _attention(query: jax.Array, key: jax.Array, value: jax.Array, visible: jax.Array) -> jax.Array:
    """Grouped-query attention.

    Args:
        query: [batch, queries, heads, HEAD_WIDTH].
        key: [batch, groups, keys, HEAD_WIDTH], as caches have it; ``value`` too.
        visible: bool[queries, keys].

    Returns:
        [batch, queries, heads * HEAD_WIDTH].
    """
    batch, queries = query.shape[:2]
    grouped = query.reshape(batch, queries, key.shape[1], -1, HEAD_WIDTH)
    scores = jnp.einsum("bqghd,bgkd->bghqk", grouped, key).astype(jnp.float32) * HEAD_WIDTH**-0.5
    shares = jax.nn.softmax(jnp.where(visible, scores, -1e9), -1).astype(query.dtype)
    return jnp.einsum("bghqk,bgkd->bqghd", shares, value).reshape(batch, queries, -1)


def _projections(x: jax.Array, weights: Weights, positions: jax.Array) -> list[jax.Array]:
    """Query [batch, tokens, heads, HEAD_WIDTH], and key and value as [batch, groups, tokens, HEAD_WIDTH]."""
    h = rms_norm(x, weights["norm1"])
    query, key, value = (
        (h @ weights[name]).reshape(*x.shape[:2], -1, HEAD_WIDTH) for name in ("query", "key", "value")
    )
    return [rotate(query, positions), rotate(key, positions).swapaxes(1, 2), value.swapaxes(1, 2)]


def _feed_forward(x: jax.Array, weights: Weights) -> jax.Array:
    """Gated feed-forward block with its residual, [batch, tokens, width] -> the same."""
    h = rms_norm(x, weights["norm2"])
    return x + (jax.nn.silu(h @ weights["gate"]) * (h @ weights["up"])) @ weights["down"]


def prefill(ends: Weights, layers: list[Weights], inputs: jax.Array) -> Any:
    """Logits f32[batch, words] after the last of ``inputs`` i32[batch, tokens], and each layer's (key, value)."""
    positions = jnp.arange(inputs.shape[1])
    visible = positions[:, None] >= positions
    x = ends["embedding"][inputs]
    caches = []
    for weights in layers:
        query, key, value = _projections(x, weights, positions)
        x = _feed_forward(x + _attention(query, key, value, visible) @ weights["out"], weights)
        caches.append((key, value))
    return (rms_norm(x[:, -1], ends["norm"]) @ ends["output"]).astype(jnp.float32), caches


def decode(ends: Weights, layers: list[Weights], caches: Any, inputs: jax.Array, position: jax.Array) -> Any:
    """Logits f32[batch, words] for the next word after ``inputs`` i32[batch], and the updated caches.

    Args:
        ends: embedding, last norm and output.
        layers: weights of each layer.
        caches: for each layer (key, value) of [batch, groups, context, HEAD_WIDTH].
        inputs: one word of each sequence.
        position: i32[], where these words stand; earlier entries of the caches are filled.
    """
    visible = jnp.arange(caches[0][0].shape[2])[None] <= position
    x = ends["embedding"][inputs][:, None]
    updated = []
    for weights, cache in zip(layers, caches, strict=True):
        query, *new = _projections(x, weights, position[None])
        key, value = (
            jax.lax.dynamic_update_slice(old, row, (0, 0, position, 0)) for old, row in zip(cache, new, strict=True)
        )
        x = _feed_forward(x + _attention(query, key, value, visible) @ weights["out"], weights)
        updated.append((key, value))
    return (rms_norm(x[:, 0], ends["norm"]) @ ends["output"]).astype(jnp.float32), updated


def _weights() -> tuple[Any, list[Any]]:
    return abstract_weights(_ENDS), [abstract_weights(_LAYER) for _ in range(LAYERS)]


def llama_prefill() -> Built:
    """Logits after a prompt of 1 x 1024 tokens, and the filled caches."""
    return prefill, (*_weights(), jax.ShapeDtypeStruct((1, CONTEXT), jnp.int32))


def _decoding(batch: int) -> Built:
    """One more token for ``batch`` sequences; their caches of 1024 are donated, so that they are updated in place."""
    cache = jax.ShapeDtypeStruct((batch, GROUPS, CONTEXT, HEAD_WIDTH), jnp.bfloat16)
    caches = [(cache, cache) for _ in range(LAYERS)]
    position = jax.ShapeDtypeStruct((), jnp.int32)
    return jax.jit(decode, donate_argnums=2), (
        *_weights(),
        caches,
        jax.ShapeDtypeStruct((batch,), jnp.int32),
        position,
    )


def llama_decode_b1() -> Built:
    """Decoding, batch 1."""
    return _decoding(1)


def llama_decode_b8() -> Built:
    """Decoding, batch 8."""
    return _decoding(8)


def llama_decode_b64() -> Built:
    """Decoding, batch 64."""
    return _decoding(64)
