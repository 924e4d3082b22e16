"""WaveNet (van den Oord et al., arXiv 1609.03499), without conditioning."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from workloads import Built
from workloads.language.layers import Weights, abstract_weights

LEVELS = 256
"""Values of a mu-law sample."""


def causal_convolution(x: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    """Each output sees its own input and the one ``dilation`` before: [batch, samples, a] by [2, a, b]."""
    return jax.lax.conv_general_dilated(
        x, kernel, (1,), [(dilation, 0)], rhs_dilation=(dilation,), dimension_numbers=("NWC", "WIO", "NWC")
    )


def _layer(x: jax.Array, weights: Weights, dilation: int) -> tuple[jax.Array, jax.Array]:
    """Gated dilated convolution: (the next layer's input, this layer's part of the skip sum)."""
    value, gate = jnp.split(causal_convolution(x, weights["dilated"], dilation), 2, -1)
    h = jnp.tanh(value) * jax.nn.sigmoid(gate)
    return x + h @ weights["residual"], h @ weights["skip"]


def wavenet() -> Built:
    """Logits for 4 x 8192 samples: 2 stacks of dilations 1 to 512, 128 residual and 256 skip channels, bf16."""
    batch, samples, channels, skips = 4, 8192, 128, 256
    dilations = [2**i for i in range(10)] * 2
    shapes = {"dilated": (2, channels, 2 * channels), "residual": (channels, channels), "skip": (channels, skips)}
    ends = {"input": (LEVELS, channels), "hidden": (skips, skips), "output": (skips, LEVELS)}

    def infer(ends: Weights, layers: list[Weights], inputs: jax.Array) -> jax.Array:
        x = ends["input"][inputs]
        total = jnp.zeros((batch, samples, skips), jnp.bfloat16)
        for weights, dilation in zip(layers, dilations, strict=True):
            x, skip = _layer(x, weights, dilation)
            total += skip
        h = jax.nn.relu(jax.nn.relu(total) @ ends["hidden"])
        return (h @ ends["output"]).astype(jnp.float32)

    layers = [abstract_weights(shapes) for _ in dilations]
    return infer, (abstract_weights(ends), layers, jax.ShapeDtypeStruct((batch, samples), jnp.int32))
