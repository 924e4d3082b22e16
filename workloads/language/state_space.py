"""Selective state-space layers (Mamba; Gu and Dao, arXiv 2312.00752)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from workloads import Built
from workloads.language.layers import Weights, rms_norm

WIDTH = 1024
INNER = 2 * WIDTH
STATE = 16
RANK = WIDTH // 16
"""Width that the step sizes are computed from."""
CHUNK = 128

_SHAPES = {
    "norm": (WIDTH,),
    "in": (WIDTH, 2 * INNER),
    "kernel": (4, INNER),
    "kernel_bias": (INNER,),
    "select": (INNER, RANK + 2 * STATE),
    "step": (RANK, INNER),
    "step_bias": (INNER,),
    "log_decay": (STATE, INNER),
    "direct": (INNER,),
    "out": (INNER, WIDTH),
}
_FLOAT32 = ("step_bias", "log_decay", "direct")


def layer_weights() -> Any:
    """Abstract weights of one layer: bf16, but f32 for what the recurrence is computed from."""
    return {
        name: jax.ShapeDtypeStruct(shape, jnp.float32 if name in _FLOAT32 else jnp.bfloat16)
        for name, shape in _SHAPES.items()
    }


def _combine(first: tuple[jax.Array, jax.Array], second: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """The two steps h -> decay * h + drive as one."""
    return first[0] * second[0], second[0] * first[1] + second[1]


def selective_scan(x: jax.Array, step: jax.Array, decay: jax.Array, drive: jax.Array, read: jax.Array) -> jax.Array:
    """h[t] = exp(step[t] * decay) * h[t - 1] + step[t] * drive[t] * x[t]; y[t] = sum over states of read[t] * h[t].

    An associative scan inside each chunk of CHUNK tokens, a loop over the chunks, all in f32.

    Args:
        x: [batch, tokens, channels], ``step`` too; the tokens are a multiple of CHUNK.
        step: f32.
        decay: f32[states, channels], negative.
        drive: [batch, tokens, states], ``read`` too.

    Returns:
        y, f32[batch, tokens, channels].
    """
    batch, tokens, channels = x.shape

    def chunks(value: jax.Array) -> jax.Array:
        value = value.astype(jnp.float32)
        return value.reshape(batch, tokens // CHUNK, CHUNK, value.shape[-1]).swapaxes(0, 1)

    def advance(state: jax.Array, chunk: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        x, step, drive, read = chunk
        factors = jnp.exp(step[:, :, None] * decay)
        terms = (step * x)[:, :, None] * drive[..., None]
        factors, terms = jax.lax.associative_scan(_combine, (factors, terms), axis=1)
        states = factors * state[:, None] + terms
        return states[:, -1], (states * read[..., None]).sum(2)

    zero = jnp.zeros((batch, decay.shape[0], channels), jnp.float32)
    y = jax.lax.scan(advance, zero, (chunks(x), chunks(step), chunks(drive), chunks(read)))[1]
    return y.swapaxes(0, 1).reshape(x.shape)


def _short_convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Causal depthwise convolution: [batch, tokens, channels] by [taps, channels]."""
    taps, tokens = kernel.shape[0], x.shape[1]
    padded = jnp.pad(x, ((0, 0), (taps - 1, 0), (0, 0)))
    return sum((padded[:, i : i + tokens] * kernel[i] for i in range(taps)), jnp.zeros_like(x))


def _layer(x: jax.Array, weights: Weights) -> jax.Array:
    """One layer with its residual, bf16[batch, tokens, WIDTH] -> the same."""
    h, gate = jnp.split(rms_norm(x, weights["norm"]) @ weights["in"], 2, -1)
    h = jax.nn.silu(_short_convolution(h, weights["kernel"]) + weights["kernel_bias"])
    low, drive, read = jnp.split(h @ weights["select"], (RANK, RANK + STATE), -1)
    step = jax.nn.softplus((low @ weights["step"]).astype(jnp.float32) + weights["step_bias"])
    y = selective_scan(h, step, -jnp.exp(weights["log_decay"]), drive, read) + weights["direct"] * h
    return x + (y.astype(x.dtype) * jax.nn.silu(gate)) @ weights["out"]


def state_space() -> Built:
    """Inference of 4 layers of width 1024 with 16 states a channel (those of Mamba-370M), 2 x 1024 embedded tokens."""

    def infer(x: jax.Array, layers: list[Weights]) -> jax.Array:
        for weights in layers:
            x = _layer(x, weights)
        return x

    return infer, (jax.ShapeDtypeStruct((2, 1024, WIDTH), jnp.bfloat16), [layer_weights() for _ in range(4)])
