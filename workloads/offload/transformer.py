"""A decoder's training step (Vaswani et al., arXiv 1706.03762, pre-norm), with named residuals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from workloads import Built
from workloads.language.layers import abstract_weights, causal_bias, layer_norm, split_heads
from workloads.offload import Remat, through_layers
from workloads.training import cross_entropy, momentum_step


def training_step(
    remat: Remat, *, layers: int, batch: int, tokens: int, width: int, heads: int, vocabulary: int, unrolled: bool
) -> Built:
    """One step on ``batch`` x ``tokens``: f32 weights and momentum, both donated, bf16 compute.

    Attention and feed-forward layer are a block each. Named are what each matrix product reads or gives, and each
    block's input.
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

    def decoder_layer(ending: str) -> Callable[..., Any]:
        def named(value: jax.Array, name: str) -> jax.Array:
            return checkpoint_name(value, name + ending)

        @remat
        def attend(x: jax.Array, w: dict[str, jax.Array]) -> jax.Array:
            x = named(x, "attention/input")
            normed = named(layer_norm(x, w["scale1"], w["shift1"]), "attention/normed")
            qkv = named(normed @ w["qkv"], "attention/qkv")
            query, key, value = (split_heads(part, heads) for part in jnp.split(qkv, 3, -1))
            scores = named(jnp.einsum("bqhd,bkhd->bhqk", query, key), "attention/scores")
            scaled = scores.astype(jnp.float32) * (width // heads) ** -0.5 + causal_bias(tokens)
            mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scaled, -1).astype(x.dtype), value)
            return x + named(mixed.reshape(x.shape), "attention/mixed") @ w["out"]

        @remat
        def feed_forward(x: jax.Array, w: dict[str, jax.Array]) -> jax.Array:
            x = named(x, "feed_forward/input")
            normed = named(layer_norm(x, w["scale2"], w["shift2"]), "feed_forward/normed")
            hidden = named(normed @ w["up"], "feed_forward/hidden")
            return x + named(jax.nn.gelu(hidden), "feed_forward/active") @ w["down"]

        return lambda x, w: feed_forward(attend(x, w), w)

    def loss(weights: Any, inputs: jax.Array, labels: jax.Array) -> jax.Array:
        weights = jax.tree.map(lambda w: w.astype(jnp.bfloat16), weights)
        x = through_layers(decoder_layer, weights["embedding"][inputs], weights["layers"], unrolled)
        return cross_entropy(x @ weights["embedding"].T, labels)

    def train(weights: Any, velocity: Any, inputs: jax.Array, labels: jax.Array) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, inputs, labels)
        return *momentum_step(weights, velocity, gradients), value

    ids = jax.ShapeDtypeStruct((batch, tokens), jnp.int32)
    return jax.jit(train, donate_argnums=(0, 1)), (weights, weights, ids, ids)


def transformer(remat: Remat, batch: int = 8) -> Built:
    """8 layers of 1024, 8 heads, 1024 tokens a sample, as a scan."""
    sizes = {"layers": 8, "tokens": 1024, "width": 1024, "heads": 8, "vocabulary": 2048}
    return training_step(remat, batch=batch, unrolled=False, **sizes)


def unrolled_transformer(remat: Remat) -> Built:
    """4 layers of 1024, 8 heads, 16 x 1024 tokens, each layer on its own."""
    return training_step(remat, layers=4, batch=16, tokens=1024, width=1024, heads=8, vocabulary=2048, unrolled=True)


def large_transformer(remat: Remat) -> Built:
    """4 layers of 4096, 16 heads, 32 x 1024 tokens, each layer on its own: for a GPU of 80 GB."""
    return training_step(remat, layers=4, batch=32, tokens=1024, width=4096, heads=16, vocabulary=2048, unrolled=True)


def tiny_transformer(remat: Remat, batch: int = 2) -> Built:
    """3 layers of 64, 2 heads, 32 tokens a sample, as a scan, for tests."""
    return training_step(remat, layers=3, batch=batch, tokens=32, width=64, heads=2, vocabulary=128, unrolled=False)


def tiny_unrolled_transformer(remat: Remat) -> Built:
    """The same, each layer on its own."""
    return training_step(remat, layers=3, batch=2, tokens=32, width=64, heads=2, vocabulary=128, unrolled=True)
