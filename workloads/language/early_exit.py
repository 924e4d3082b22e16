"""A classifier that stops early where it is sure (DeeBERT; Xin et al., arXiv 2004.12993), on BERT-base's layers."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from workloads import Built
from workloads.language.bert import EMBEDDINGS, LAYER, LAYERS, WIDTH, embed, layer, padding_bias
from workloads.language.layers import Weights, abstract_weights

CLASSES = 3
GROUP = 3
"""Layers between two exits."""
_SURE = 0.3
"""Entropy in nats below which an answer is final."""


def _answer(x: jax.Array, weights: Weights) -> jax.Array:
    """An exit's logits f32[batch, CLASSES], from the first token's state."""
    pooled = jnp.tanh(x[:, 0] @ weights["pooler"] + weights["pooler_bias"])
    return (pooled @ weights["output"] + weights["output_bias"]).astype(jnp.float32)


def is_sure(logits: jax.Array) -> jax.Array:
    """Whether every answer of the batch has a low entropy: f32[batch, classes] -> bool[]."""
    likelihood = jax.nn.log_softmax(logits)
    return jnp.all(-(jnp.exp(likelihood) * likelihood).sum(-1) < _SURE)


def _classify(x: jax.Array, bias: jax.Array, groups: list[list[Weights]], exits: list[Weights]) -> jax.Array:
    """Runs a group of layers and its exit; the other groups run only if that exit's answer is not sure."""
    for weights in groups[0]:
        x = layer(x, weights, bias)
    logits = _answer(x, exits[0])
    if len(groups) == 1:
        return logits

    def go_on(x: jax.Array, logits: jax.Array) -> jax.Array:
        return _classify(x, bias, groups[1:], exits[1:])

    def stop(x: jax.Array, logits: jax.Array) -> jax.Array:
        return logits

    return jax.lax.cond(is_sure(logits), stop, go_on, x, logits)


def early_exit() -> Built:
    """Three classes for 8 x 256 tokens: 12 layers, exits after 3, 6, 9 and 12, taken when the whole batch is sure."""
    batch, tokens = 8, 256
    exit_shapes = {
        "pooler": (WIDTH, WIDTH),
        "pooler_bias": (WIDTH,),
        "output": (WIDTH, CLASSES),
        "output_bias": (CLASSES,),
    }

    def infer(
        embeddings: Weights,
        groups: list[list[Weights]],
        exits: list[Weights],
        inputs: jax.Array,
        types: jax.Array,
        present: jax.Array,
    ) -> jax.Array:
        return _classify(embed(embeddings, inputs, types), padding_bias(present), groups, exits)

    groups = [[abstract_weights(LAYER) for _ in range(GROUP)] for _ in range(LAYERS // GROUP)]
    ids = jax.ShapeDtypeStruct((batch, tokens), jnp.int32)
    present = jax.ShapeDtypeStruct((batch, tokens), jnp.bool_)
    exits = [abstract_weights(exit_shapes) for _ in groups]
    return infer, (abstract_weights(EMBEDDINGS), groups, exits, ids, ids, present)
