"""T5 small (Raffel et al., arXiv 1910.10683): an encoder, a decoder, relative positions, no biases."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from workloads import Built
from workloads.language.layers import Shapes, Weights, abstract_weights, attention, causal_bias, rms_norm, split_heads

LAYERS = 6
WIDTH = 512
HIDDEN = 2048
HEADS = 8
VOCABULARY = 32128
BUCKETS = 32
FARTHEST = 128
"""Distances from here on share the last bucket."""

_EPSILON = 1e-6

_ATTENTION: Shapes = {"norm": (WIDTH,)} | dict.fromkeys(("query", "key", "value", "out"), (WIDTH, WIDTH))
_FEED_FORWARD: Shapes = {"norm": (WIDTH,), "up": (WIDTH, HIDDEN), "down": (HIDDEN, WIDTH)}
_ENDS = {
    "embedding": (VOCABULARY, WIDTH),
    "encoder_positions": (BUCKETS, HEADS),
    "decoder_positions": (BUCKETS, HEADS),
    "encoder_norm": (WIDTH,),
    "decoder_norm": (WIDTH,),
}

Block = dict[str, Weights]
"""Weights of the parts of one layer: ``self``, ``cross`` (decoder only) and ``feed_forward``."""


def bucket(distance: jax.Array, both_ways: bool) -> jax.Array:
    """Bucket of a key's position minus the query's: exact when near, logarithmic up to FARTHEST (section 2.1).

    With ``both_ways`` half of the buckets are for keys after the query; without, those are all in bucket 0.
    """
    buckets = BUCKETS // 2 if both_ways else BUCKETS
    offset = jnp.where(distance > 0, buckets, 0) if both_ways else 0
    away = jnp.abs(distance) if both_ways else jnp.maximum(-distance, 0)
    exact = buckets // 2
    growth = jnp.log(jnp.maximum(away, exact) / exact) / jnp.log(FARTHEST / exact)
    far = exact + (growth * (buckets - exact)).astype(jnp.int32)
    return offset + jnp.where(away < exact, away, jnp.minimum(far, buckets - 1))


def _position_bias(table: jax.Array, tokens: int, both_ways: bool) -> jax.Array:
    """f32[1, HEADS, tokens, tokens] of learned scores, table [BUCKETS, HEADS]."""
    positions = jnp.arange(tokens)
    chosen = jax.nn.one_hot(bucket(positions - positions[:, None], both_ways), BUCKETS, dtype=table.dtype)
    return jnp.einsum("qkb,bh->hqk", chosen, table, preferred_element_type=jnp.float32)[None]


def _attend(x: jax.Array, memory: jax.Array | None, weights: Weights, bias: jax.Array) -> jax.Array:
    """Attention to ``memory``, or to ``x`` itself, with its residual; scores are not scaled."""
    h = rms_norm(x, weights["norm"], _EPSILON)
    source = h if memory is None else memory
    query = split_heads(h @ weights["query"], HEADS)
    key, value = (split_heads(source @ weights[name], HEADS) for name in ("key", "value"))
    return x + attention(query, key, value, bias, 1.0) @ weights["out"]


def _feed_forward(x: jax.Array, weights: Weights) -> jax.Array:
    h = rms_norm(x, weights["norm"], _EPSILON)
    return x + jax.nn.relu(h @ weights["up"]) @ weights["down"]


def _infer(
    ends: Weights, encoder: list[Block], decoder: list[Block], source: jax.Array, target: jax.Array
) -> jax.Array:
    """Logits f32[batch, words, VOCABULARY] for ``target`` i32[batch, words] given ``source`` i32[batch, tokens]."""
    x = ends["embedding"][source]
    bias = _position_bias(ends["encoder_positions"], source.shape[1], both_ways=True)
    for block in encoder:
        x = _feed_forward(_attend(x, None, block["self"], bias), block["feed_forward"])
    memory = rms_norm(x, ends["encoder_norm"], _EPSILON)

    x = ends["embedding"][target]
    words = target.shape[1]
    bias = _position_bias(ends["decoder_positions"], words, both_ways=False) + causal_bias(words)
    nothing = jnp.zeros((), jnp.float32)
    for block in decoder:
        x = _attend(_attend(x, None, block["self"], bias), memory, block["cross"], nothing)
        x = _feed_forward(x, block["feed_forward"])
    x = rms_norm(x, ends["decoder_norm"], _EPSILON) * WIDTH**-0.5
    return (x @ ends["embedding"].T).astype(jnp.float32)


def t5() -> Built:
    """Inference of T5 small with a tied output: encoder 8 x 512 tokens, decoder 8 x 128 tokens at once."""
    batch = 8
    encoder_parts = {"self": _ATTENTION, "feed_forward": _FEED_FORWARD}
    decoder_parts = {"self": _ATTENTION, "cross": _ATTENTION, "feed_forward": _FEED_FORWARD}

    def stack(parts: dict[str, Shapes]) -> list[Block]:
        return [{part: abstract_weights(shapes) for part, shapes in parts.items()} for _ in range(LAYERS)]

    return _infer, (
        abstract_weights(_ENDS),
        stack(encoder_parts),
        stack(decoder_parts),
        jax.ShapeDtypeStruct((batch, 512), jnp.int32),
        jax.ShapeDtypeStruct((batch, 128), jnp.int32),
    )
