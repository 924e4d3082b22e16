"""BERT-base (Devlin et al., arXiv 1810.04805), with the tanh form of gelu as in the paper's code."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from workloads import Built
from workloads.language.layers import Weights, abstract_weights, attention, layer_norm, split_heads
from workloads.training import cross_entropy

LAYERS = 12
WIDTH = 768
HEADS = 12
VOCABULARY = 30522
BATCH = 16
TOKENS = 128
MASKED = 20
"""Masked tokens of a sequence of 128, as in the paper's code."""

_EPSILON = 1e-12

LAYER = {
    "qkv": (WIDTH, 3 * WIDTH),
    "qkv_bias": (3 * WIDTH,),
    "out": (WIDTH, WIDTH),
    "out_bias": (WIDTH,),
    "scale1": (WIDTH,),
    "shift1": (WIDTH,),
    "up": (WIDTH, 4 * WIDTH),
    "up_bias": (4 * WIDTH,),
    "down": (4 * WIDTH, WIDTH),
    "down_bias": (WIDTH,),
    "scale2": (WIDTH,),
    "shift2": (WIDTH,),
}
EMBEDDINGS = {
    "words": (VOCABULARY, WIDTH),
    "positions": (512, WIDTH),
    "types": (2, WIDTH),
    "scale": (WIDTH,),
    "shift": (WIDTH,),
}
_POOLER = {"pooler": (WIDTH, WIDTH), "pooler_bias": (WIDTH,)}
_HEAD = {
    "dense": (WIDTH, WIDTH),
    "dense_bias": (WIDTH,),
    "scale": (WIDTH,),
    "shift": (WIDTH,),
    "bias": (VOCABULARY,),
}


def embed(weights: Weights, inputs: jax.Array, types: jax.Array) -> jax.Array:
    """Words and sentence types i32[batch, tokens] -> [batch, tokens, WIDTH]."""
    x = weights["words"][inputs] + weights["positions"][: inputs.shape[1]] + weights["types"][types]
    return layer_norm(x, weights["scale"], weights["shift"], _EPSILON)


def padding_bias(present: jax.Array) -> jax.Array:
    """bool[batch, tokens], false for padding -> f32[batch, 1, 1, tokens] to add to attention scores."""
    return jnp.where(present, 0.0, -1e9)[:, None, None]


def layer(x: jax.Array, weights: Weights, bias: jax.Array) -> jax.Array:
    """One post-norm transformer layer, [batch, tokens, WIDTH] -> the same."""
    qkv = jnp.split(x @ weights["qkv"] + weights["qkv_bias"], 3, -1)
    query, key, value = (split_heads(part, HEADS) for part in qkv)
    mixed = attention(query, key, value, bias, (WIDTH // HEADS) ** -0.5)
    x = layer_norm(x + mixed @ weights["out"] + weights["out_bias"], weights["scale1"], weights["shift1"], _EPSILON)
    h = jax.nn.gelu(x @ weights["up"] + weights["up_bias"]) @ weights["down"]
    return layer_norm(x + h + weights["down_bias"], weights["scale2"], weights["shift2"], _EPSILON)


def _batch() -> tuple[Any, Any, Any]:
    """Words, sentence types and presence of each token."""
    ids = jax.ShapeDtypeStruct((BATCH, TOKENS), jnp.int32)
    return ids, ids, jax.ShapeDtypeStruct((BATCH, TOKENS), jnp.bool_)


def bert_base() -> Built:
    """Inference, 16 x 128 tokens: the last layer's states and the pooled first token."""

    def infer(
        embeddings: Weights,
        layers: list[Weights],
        pooler: Weights,
        inputs: jax.Array,
        types: jax.Array,
        present: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        x, bias = embed(embeddings, inputs, types), padding_bias(present)
        for weights in layers:
            x = layer(x, weights, bias)
        return x, jnp.tanh(x[:, 0] @ pooler["pooler"] + pooler["pooler_bias"])

    layers = [abstract_weights(LAYER) for _ in range(LAYERS)]
    return infer, (abstract_weights(EMBEDDINGS), layers, abstract_weights(_POOLER), *_batch())


def _adam(weights: Any, gradients: Any, means: Any, squares: Any, count: jax.Array) -> tuple[Any, Any, Any]:
    """New weights, means and squares (Kingma and Ba, arXiv 1412.6980, algorithm 1); ``count`` starts at 1."""
    means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, gradients)
    squares = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, squares, gradients)
    rate = 1e-4 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    weights = jax.tree.map(lambda w, m, s: w - rate * m / (jnp.sqrt(s) + 1e-8), weights, means, squares)
    return weights, means, squares


def bert_base_train() -> Built:
    """One masked-token training step over stacked layers, 16 x 128 tokens, 20 of each masked, Adam; no dropout."""
    weights = {
        "embeddings": abstract_weights(EMBEDDINGS, dtype=jnp.float32),
        "layers": abstract_weights(LAYER, (LAYERS,), jnp.float32),
        "head": abstract_weights(_HEAD, dtype=jnp.float32),
    }

    def loss(weights: Any, batch: tuple[jax.Array, ...], masked: jax.Array, labels: jax.Array) -> jax.Array:
        weights = jax.tree.map(lambda w: w.astype(jnp.bfloat16), weights)
        inputs, types, present = batch
        head, bias = weights["head"], padding_bias(present)
        x = embed(weights["embeddings"], inputs, types)
        x, _ = jax.lax.scan(lambda x, weights: (layer(x, weights, bias), None), x, weights["layers"])
        x = jnp.take_along_axis(x, masked[..., None], 1)
        x = jax.nn.gelu(x @ head["dense"] + head["dense_bias"])
        x = layer_norm(x, head["scale"], head["shift"], _EPSILON)
        return cross_entropy(x @ weights["embeddings"]["words"].T + head["bias"], labels)

    def train(
        weights: Any, means: Any, squares: Any, count: jax.Array, batch: Any, masked: jax.Array, labels: jax.Array
    ) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, batch, masked, labels)
        count = count + 1
        return *_adam(weights, gradients, means, squares, count), count, value

    chosen = jax.ShapeDtypeStruct((BATCH, MASKED), jnp.int32)
    return train, (weights, weights, weights, jax.ShapeDtypeStruct((), jnp.int32), _batch(), chosen, chosen)
