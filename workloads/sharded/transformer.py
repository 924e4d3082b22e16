"""Transformers, tensor parallel as in Megatron-LM (Shoeybi et al., arXiv 1909.08053).

Heads and hidden units are sharded, so that each block needs one all-reduce, after its second product.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh

from workloads import Built
from workloads.language.layers import Weights, abstract_weights, attention, causal_bias, layer_norm, split_heads
from workloads.language.llama import HEAD_WIDTH, decode
from workloads.sharded.placement import mesh, place
from workloads.training import momentum_step

LAYERS, WIDTH, HEADS, VOCABULARY, BATCH, TOKENS = 4, 1024, 16, 50_304, 8, 512
"""Of the model that is trained; its words are GPT-2's, padded as in Megatron-LM."""

_COLUMNS = ("query", "key", "value", "up", "gate", "output")
"""Weights [in, out] sharded by their results."""
_ROWS = ("out", "down", "embedding")
"""Weights sharded by what they take: heads, hidden units, words."""


def _sharded(weights: Weights, devices: AbstractMesh) -> Any:
    """Abstract weights, sharded over the axis ``model``; norms are on each device."""

    def axes(name: str) -> tuple[str | None, ...]:
        if name in _COLUMNS:
            return (None, "model")
        return ("model",) if name in _ROWS else ()

    return {name: place(value, devices, *axes(name)) for name, value in weights.items()}


def layer(x: jax.Array, weights: Weights) -> jax.Array:
    """One pre-norm layer with causal attention, bf16[batch, tokens, width] -> the same."""
    h = layer_norm(x, weights["scale1"], weights["shift1"])
    query, key, value = (split_heads(h @ weights[name], HEADS) for name in ("query", "key", "value"))
    mixed = attention(query, key, value, causal_bias(x.shape[1]), query.shape[-1] ** -0.5)
    x = x + mixed @ weights["out"]
    h = layer_norm(x, weights["scale2"], weights["shift2"])
    return x + jax.nn.gelu(h @ weights["up"]) @ weights["down"]


def loss(weights: Any, inputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean negative log likelihood of labels i32[batch, tokens] after inputs of the same shape, output tied.

    The likelihood of a label is a masked sum, so that the sharded words stay where they are.
    """
    weights = jax.tree.map(lambda w: w.astype(jnp.bfloat16), weights)
    x = weights["words"]["embedding"][inputs] + weights["positions"]
    for each in weights["layers"]:
        x = layer(x, each)
    likelihood = jax.nn.log_softmax((x @ weights["words"]["embedding"].T).astype(jnp.float32))
    here = jnp.arange(likelihood.shape[-1]) == labels[..., None]
    return -jnp.where(here, likelihood, 0).sum() / labels.size


def train(weights: Any, velocity: Any, inputs: jax.Array, labels: jax.Array) -> Any:
    """One step: weights, velocity and loss."""
    value, gradients = jax.value_and_grad(loss)(weights, inputs, labels)
    return *momentum_step(weights, velocity, gradients), value


def tensor_parallel_train() -> Built:
    """One step on 2 x 2 devices, data x model: f32 weights and momentum, donated; bf16 compute."""
    devices = mesh(data=2, model=2)
    shapes = {
        **dict.fromkeys(("query", "key", "value", "out"), (WIDTH, WIDTH)),
        "up": (WIDTH, 4 * WIDTH),
        "down": (4 * WIDTH, WIDTH),
        **dict.fromkeys(("scale1", "shift1", "scale2", "shift2"), (WIDTH,)),
    }
    each = _sharded(abstract_weights(shapes, dtype=jnp.float32), devices)
    weights = {
        "words": _sharded(abstract_weights({"embedding": (VOCABULARY, WIDTH)}, dtype=jnp.float32), devices),
        "positions": place(jax.ShapeDtypeStruct((TOKENS, WIDTH), jnp.float32), devices),
        "layers": [each] * LAYERS,
    }
    ids = place(jax.ShapeDtypeStruct((BATCH, TOKENS), jnp.int32), devices, "data")
    return jax.jit(train, donate_argnums=(0, 1)), (weights, weights, ids, ids)


def tensor_parallel_decode() -> Built:
    """One more word on 4 devices: 8 layers, 64 heads over 8 key-value heads, caches of 16 x 1024, donated; bf16."""
    devices, layers, width, hidden, groups, batch, context = mesh(model=4), 8, 4096, 11_008, 8, 16, 1024
    shapes = {
        **dict.fromkeys(("query", "out"), (width, width)),
        **dict.fromkeys(("key", "value"), (width, groups * HEAD_WIDTH)),
        **dict.fromkeys(("gate", "up"), (width, hidden)),
        "down": (hidden, width),
        **dict.fromkeys(("norm1", "norm2"), (width,)),
    }
    words = 32_000
    ends = abstract_weights({"embedding": (words, width), "norm": (width,), "output": (width, words)})
    cache = place(jax.ShapeDtypeStruct((batch, groups, context, HEAD_WIDTH), jnp.bfloat16), devices, None, "model")
    return jax.jit(decode, donate_argnums=2), (
        _sharded(ends, devices),
        [_sharded(abstract_weights(shapes), devices)] * layers,
        [(cache, cache)] * layers,
        place(jax.ShapeDtypeStruct((batch,), jnp.int32), devices),
        place(jax.ShapeDtypeStruct((), jnp.int32), devices),
    )
