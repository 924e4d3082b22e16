"""GPT-2 small's body (Radford et al. 2019) in three forms."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from workloads import Built
from workloads.language.layers import abstract_weights, layer_norm
from workloads.training import cross_entropy, momentum_step

WIDTH = 768
HEADS = 12
VOCABULARY = 50257

_LAYER = {
    "qkv": (WIDTH, 3 * WIDTH),
    "out": (WIDTH, WIDTH),
    "up": (WIDTH, 4 * WIDTH),
    "down": (4 * WIDTH, WIDTH),
    "up_bias": (4 * WIDTH,),
    "down_bias": (WIDTH,),
    "scale1": (WIDTH,),
    "shift1": (WIDTH,),
    "scale2": (WIDTH,),
    "shift2": (WIDTH,),
}


def _layer(x: jax.Array, weights: dict[str, jax.Array]) -> jax.Array:
    """One pre-norm transformer layer with causal attention, bf16[batch, tokens, WIDTH] -> the same."""
    batch, tokens, width = x.shape
    h = layer_norm(x, weights["scale1"], weights["shift1"])
    qkv = (h @ weights["qkv"]).reshape(batch, tokens, 3, HEADS, width // HEADS)
    query, key, value = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key).astype(jnp.float32) * (width // HEADS) ** -0.5
    scores = jnp.where(jnp.tril(jnp.ones((tokens, tokens), bool)), scores, -1e9)
    attention = jax.nn.softmax(scores, -1).astype(x.dtype)
    x = x + jnp.einsum("bhqk,bkhd->bqhd", attention, value).reshape(x.shape) @ weights["out"]
    h = layer_norm(x, weights["scale2"], weights["shift2"])
    return x + jax.nn.gelu(h @ weights["up"] + weights["up_bias"]) @ weights["down"] + weights["down_bias"]


def gpt2() -> Built:
    """Inference of 12 unrolled layers on embedded tokens, 8 x 512."""

    def infer(x: jax.Array, layers: list[dict[str, jax.Array]]) -> jax.Array:
        for weights in layers:
            x = _layer(x, weights)
        return x

    return infer, (jax.ShapeDtypeStruct((8, 512, WIDTH), jnp.bfloat16), [abstract_weights(_LAYER) for _ in range(12)])


def gpt2_scan() -> Built:
    """The same inference as a scan over stacked weights."""

    def infer(x: jax.Array, layers: dict[str, jax.Array]) -> jax.Array:
        return jax.lax.scan(lambda x, weights: (_layer(x, weights), None), x, layers)[0]

    return infer, (jax.ShapeDtypeStruct((8, 512, WIDTH), jnp.bfloat16), abstract_weights(_LAYER, (12,)))


def gpt2_train() -> Built:
    """One training step of 4 layers with embedding and tied output, 8 x 256 tokens: f32 weights, bf16 compute."""
    return _training(4)


def gpt2_train_deep() -> Built:
    """The same of 24 layers, as many as GPT-2 medium has."""
    return _training(24)


def _training(layers: int) -> Built:
    tokens = 256
    weights = {
        "embedding": jax.ShapeDtypeStruct((VOCABULARY, WIDTH), jnp.float32),
        "positions": jax.ShapeDtypeStruct((tokens, WIDTH), jnp.float32),
        "layers": [abstract_weights(_LAYER, dtype=jnp.float32) for _ in range(layers)],
    }

    def loss(weights: Any, inputs: jax.Array, labels: jax.Array) -> jax.Array:
        weights = jax.tree.map(lambda w: w.astype(jnp.bfloat16), weights)
        x = weights["embedding"][inputs] + weights["positions"]
        for layer in weights["layers"]:
            x = _layer(x, layer)
        return cross_entropy(x @ weights["embedding"].T, labels)

    def train(weights: Any, velocity: Any, inputs: jax.Array, labels: jax.Array) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, inputs, labels)
        return *momentum_step(weights, velocity, gradients), value

    ids = jax.ShapeDtypeStruct((8, tokens), jnp.int32)
    return train, (weights, weights, ids, ids)
