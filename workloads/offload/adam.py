"""Training steps as they are written for ``fit``: blocks under ``jax.checkpoint``, with Adam (arXiv 1412.6980)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

import mallocgame
from workloads import Built


class Moments(NamedTuple):
    """Adam's state: running means of gradients and of their squares, as trees of the weights' shapes."""

    mu: Any
    nu: Any


def adam_step(weights: Any, moments: Moments, gradients: Any) -> tuple[Any, Moments]:
    """New weights and moments; without the correction of the first steps."""
    mu = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments.mu, gradients)
    nu = jax.tree.map(lambda n, g: 0.999 * n + 0.001 * g * g, moments.nu, gradients)
    return jax.tree.map(lambda w, m, n: w - 1e-3 * m / (jnp.sqrt(n) + 1e-8), weights, mu, nu), Moments(mu, nu)


def training_step(*, layers: int, width: int, hidden: int, batch: int, policy: Callable[..., Any] | None) -> Built:
    """One step on ``batch`` rows of a residual MLP: f32 weights and moments, donated, bf16 compute."""
    shape = jax.ShapeDtypeStruct
    layer = {"up": shape((width, hidden), jnp.float32), "down": shape((hidden, width), jnp.float32)}
    weights = [layer] * layers

    def block(x: jax.Array, w: dict[str, jax.Array]) -> jax.Array:
        h = checkpoint_name(x @ w["up"].astype(x.dtype), "hidden")
        return x + checkpoint_name(jax.nn.gelu(h), "active") @ w["down"].astype(x.dtype)

    def loss(weights: Any, x: jax.Array) -> jax.Array:
        for w in weights:
            x = jax.checkpoint(block, policy=policy)(x, w)
        return (x.astype(jnp.float32) ** 2).mean()

    def train(weights: Any, moments: Moments, x: jax.Array) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, x)
        return *adam_step(weights, moments, gradients), value

    arguments = (weights, Moments(weights, weights), shape((batch, width), jnp.bfloat16))
    return jax.jit(train, donate_argnums=(0, 1)), arguments


def adam(batch: int = 2048) -> Built:
    """12 layers of 4096 and 16384: 1.61e9 weights, which with their moments take 18 GiB."""
    return training_step(layers=12, width=4096, hidden=16384, batch=batch, policy=mallocgame.policy)


def tiny_adam(batch: int = 64) -> Built:
    """3 layers of 128 and 512, for tests."""
    return training_step(layers=3, width=128, hidden=512, batch=batch, policy=mallocgame.policy)


def tiny_untouched() -> Built:
    """The same under a policy of its own, which saves the results of matrix products."""
    policy = jax.checkpoint_policies.dots_saveable
    return training_step(layers=3, width=128, hidden=512, batch=64, policy=policy)
