"""How far the network is from its targets: policy, value and reward, along the unrolled model."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]

from muzero.networks import Network, Params, decode, encode
from muzero.training.replay import Batch

GRADIENT_SHARE = 0.5
"""Of the gradient that goes from one unrolled step to the one before it (MuZero, arXiv 1911.08265, appendix G)."""


class Losses(NamedTuple):
    """Means over a batch: float32 scalars, but for ``errors``.

    Attributes:
        total: what is minimised.
        policy: cross-entropy of the search's weights, less what it is at best.
        value: cross-entropy of the value targets.
        reward: of the reward targets; 0 without unrolling.
        errors: float32 [N], value less target at the drawn positions.
    """

    total: jax.Array
    policy: jax.Array
    value: jax.Array
    reward: jax.Array
    errors: jax.Array


def losses(network: Network, params: Params, batch: Batch, value_weight: float, reward_weight: float) -> Losses:
    """The losses of a batch, each position weighted by its importance and each of its K + 1 steps alike.

    Past the end of an episode the policy does not count; value and reward are taught to be 0.
    """
    unroll = batch.moves.shape[1]
    seen = jax.tree.map(lambda array: array.astype(jnp.float32), batch.observations)
    latent = network.represent(params, seen)
    policy = value = reward = jnp.zeros(len(batch.importance), jnp.float32)
    errors = policy
    for step in range(unroll + 1):
        if step > 0:
            latent, reward_logits = network.dynamics(params, latent, batch.moves[:, step - 1])
            latent = optax.scale_gradient(latent, GRADIENT_SHARE)
            reward = reward + _categorical(reward_logits, batch.rewards[:, step - 1])
        logits, value_logits = network.predict(params, latent)
        policy = policy + batch.inside[:, step] * _policy(logits, batch.weights[:, step])
        value = value + _categorical(value_logits, batch.values[:, step])
        if step == 0:
            errors = decode(value_logits) - batch.values[:, 0]
    steps = unroll + 1
    policy, value, reward = (jnp.mean(batch.importance * part) / steps for part in (policy, value, reward))
    return Losses(policy + value_weight * value + reward_weight * reward, policy, value, reward, errors)


def _policy(logits: jax.Array, weights: jax.Array) -> jax.Array:
    """Divergence of the policy from the search's weights; [N, 3] each -> [N].

    Over all moves: the weights of illegal ones are 0, and so the policy learns, for the learned model, what is legal.
    """
    return jnp.sum(jax.scipy.special.xlogy(weights, weights) - weights * jax.nn.log_softmax(logits, axis=-1), axis=-1)


def _categorical(logits: jax.Array, target: jax.Array) -> jax.Array:
    """Cross-entropy of a number's distribution; logits [N, bins], target [N] -> [N]."""
    return -jnp.sum(encode(target, logits.shape[-1]) * jax.nn.log_softmax(logits, axis=-1), axis=-1)
