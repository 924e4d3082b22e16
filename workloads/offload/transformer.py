"""A decoder's training step (Vaswani et al., arXiv 1706.03762, pre-norm), with named residuals."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from workloads import Built
from workloads.language.layers import abstract_weights, attention, causal_bias, layer_norm, split_heads
from workloads.offload import Remat
from workloads.training import cross_entropy, momentum_step


def training_step(
    remat: Remat, *, layers: int, batch: int, tokens: int, width: int, heads: int, vocabulary: int
) -> Built:
    """One step on ``batch`` x ``tokens``: f32 weights and momentum, both donated, bf16 compute, a scan over the layers.

    Attention and feed-forward layer are a block each. Named are each block's input, the joint projection of queries,
    keys and values, what attention mixes, and the hidden layer before its gelu.
    """
    layer = {
        "qkv": (width, 3 * width),
        "out": (width, width),
        "scale1": (width,),
        "shift1": (width,),
        "up": (width, 4 * width),
        "down": (4 * width, width),
        "scale2": (width,),
        "shift2": (width,),
    }
    weights = {
        "embedding": jax.ShapeDtypeStruct((vocabulary, width), jnp.float32),
        "layers": abstract_weights(layer, (layers,), jnp.float32),
    }

    @remat
    def attend(x: jax.Array, w: dict[str, jax.Array]) -> jax.Array:
        x = checkpoint_name(x, "attention/input")
        qkv = checkpoint_name(layer_norm(x, w["scale1"], w["shift1"]) @ w["qkv"], "attention/qkv")
        query, key, value = (split_heads(part, heads) for part in jnp.split(qkv, 3, -1))
        mixed = attention(query, key, value, causal_bias(tokens), (width // heads) ** -0.5)
        return x + checkpoint_name(mixed, "attention/mixed") @ w["out"]

    @remat
    def feed_forward(x: jax.Array, w: dict[str, jax.Array]) -> jax.Array:
        x = checkpoint_name(x, "feed_forward/input")
        hidden = checkpoint_name(layer_norm(x, w["scale2"], w["shift2"]) @ w["up"], "feed_forward/hidden")
        return x + jax.nn.gelu(hidden) @ w["down"]

    def loss(weights: Any, inputs: jax.Array, labels: jax.Array) -> jax.Array:
        weights = jax.tree.map(lambda w: w.astype(jnp.bfloat16), weights)
        x = weights["embedding"][inputs]
        x, _ = jax.lax.scan(lambda x, w: (feed_forward(attend(x, w), w), None), x, weights["layers"])
        return cross_entropy(x @ weights["embedding"].T, labels)

    def train(weights: Any, velocity: Any, inputs: jax.Array, labels: jax.Array) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, inputs, labels)
        return *momentum_step(weights, velocity, gradients), value

    ids = jax.ShapeDtypeStruct((batch, tokens), jnp.int32)
    return jax.jit(train, donate_argnums=(0, 1)), (weights, weights, ids, ids)


def transformer(remat: Remat) -> Built:
    """8 layers of 1024, 8 heads, 8 x 1024 tokens."""
    return training_step(remat, layers=8, batch=8, tokens=1024, width=1024, heads=8, vocabulary=2048)


def tiny_transformer(remat: Remat) -> Built:
    """3 layers of 64, 2 heads, 2 x 32 tokens, for tests."""
    return training_step(remat, layers=3, batch=2, tokens=32, width=64, heads=2, vocabulary=128)
