"""The learning step of proximal policy optimisation (Schulman et al., arXiv 1707.06347) on Atari frames."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables

ACTIONS = 18
STEPS, ACTORS = 128, 64
EPOCHS, MINIBATCHES = 4, 4
KL_LIMIT = 0.02
CLIP = 0.1
DISCOUNT, TRACE = 0.99, 0.95


class Network(nn.Module):
    """Three convolutions and a dense layer (Mnih et al. 2015) with a policy and a value."""

    @nn.compact
    def __call__(self, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
        """u8[batch, 84 * 84 * 4] -> log probabilities f32[batch, ACTIONS] and values f32[batch]."""
        x = frames.reshape(-1, 84, 84, 4).astype(jnp.bfloat16) / 255
        for features, kernel, stride in ((32, 8, 4), (64, 4, 2), (64, 3, 1)):
            size, strides = (kernel, kernel), (stride, stride)
            x = nn.relu(nn.Conv(features, size, strides, padding="VALID", dtype=jnp.bfloat16)(x))
        x = nn.relu(nn.Dense(512, dtype=jnp.bfloat16)(x.reshape(len(x), -1)))
        logits = nn.Dense(ACTIONS, dtype=jnp.bfloat16)(x).astype(jnp.float32)
        value = nn.Dense(1, dtype=jnp.bfloat16)(x).astype(jnp.float32)
        return jax.nn.log_softmax(logits), value[:, 0]


class Learner(NamedTuple):
    """Weights and Adam's state."""

    weights: Any
    mean: Any
    square: Any
    count: Any


class Rollout(NamedTuple):
    """What the actors saw and did; every array starts with [STEPS, ACTORS]."""

    frames: Any
    actions: Any
    likelihoods: Any
    rewards: Any
    ends: Any
    values: Any


class Sample(NamedTuple):
    """What the loss needs of each step; every array starts with [samples]."""

    frames: Any
    actions: Any
    likelihoods: Any
    advantages: Any
    returns: Any


def advantages(rewards: jax.Array, ends: jax.Array, values: jax.Array, last: jax.Array) -> jax.Array:
    """Generalised advantage estimates (arXiv 1506.02438) f32[steps, actors].

    ``ends`` is 1 where an episode ends with that step; ``last`` f32[actors] are the values after the last step.
    """

    def back(later: jax.Array, step: Any) -> tuple[jax.Array, jax.Array]:
        surprise, end = step
        later = surprise + DISCOUNT * TRACE * (1 - end) * later
        return later, later

    following = jnp.concatenate([values[1:], last[None]])
    surprises = rewards + DISCOUNT * (1 - ends) * following - values
    return jax.lax.scan(back, jnp.zeros_like(last), (surprises, ends), reverse=True)[1]


def loss(weights: Any, sample: Sample) -> tuple[jax.Array, jax.Array]:
    """Clipped surrogate, value and entropy terms f32[], and an estimate of the divergence from the old policy f32[]."""
    likelihoods, values = Network().apply(weights, sample.frames)
    change = jnp.take_along_axis(likelihoods, sample.actions[:, None], 1)[:, 0] - sample.likelihoods
    ratio = jnp.exp(change)
    gain = jnp.minimum(ratio * sample.advantages, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * sample.advantages)
    entropy = -(jnp.exp(likelihoods) * likelihoods).sum(-1)
    error = (values - sample.returns) ** 2
    return (0.5 * error - gain - 0.01 * entropy).mean(), (ratio - 1 - change).mean()


def adam_step(learner: Learner, gradients: Any) -> Learner:
    """Adam (arXiv 1412.6980) with a rate of 2.5e-4, decays of 0.9 and 0.999 and epsilon 1e-5."""
    count = learner.count + 1
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, learner.mean, gradients)
    square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, learner.square, gradients)
    rate = 2.5e-4 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    weights = jax.tree.map(lambda w, m, s: w - rate * m / (jnp.sqrt(s) + 1e-5), learner.weights, mean, square)
    return Learner(weights, mean, square, count)


def learn(learner: Learner, rollout: Rollout, last: jax.Array, key: jax.Array) -> tuple[Learner, jax.Array]:
    """All epochs, without further updates once the divergence has passed its limit, which is returned too."""
    gains = advantages(rollout.rewards, rollout.ends, rollout.values, last)
    normed = (gains - gains.mean()) / (gains.std() + 1e-8)
    taken = (rollout.frames, rollout.actions, rollout.likelihoods, normed, gains + rollout.values)
    samples = Sample(*(array.reshape(-1, *array.shape[2:]) for array in taken))

    def update(learner: Learner, rows: jax.Array) -> tuple[Learner, jax.Array]:
        sample = jax.tree.map(lambda array: array[rows], samples)
        gradients, divergence = jax.grad(loss, has_aux=True)(learner.weights, sample)
        return adam_step(learner, gradients), divergence

    def minibatch(carry: tuple[Learner, jax.Array], rows: jax.Array) -> tuple[tuple[Learner, jax.Array], None]:
        learner, divergence = carry
        return jax.lax.cond(divergence < KL_LIMIT, update, lambda *_: carry, learner, rows), None

    def epoch(carry: tuple[Learner, jax.Array], key: jax.Array) -> tuple[tuple[Learner, jax.Array], None]:
        rows = jax.random.permutation(key, len(samples.actions)).reshape(MINIBATCHES, -1)
        return jax.lax.scan(minibatch, carry, rows)

    return jax.lax.scan(epoch, (learner, jnp.float32(0)), jax.random.split(key, EPOCHS))[0]


def ppo() -> Built:
    """4 epochs of 4 minibatches on 128 steps of 64 actors: f32 weights and Adam's state, bf16 compute."""
    floats = jax.ShapeDtypeStruct((STEPS, ACTORS), jnp.float32)
    rollout = Rollout(
        frames=jax.ShapeDtypeStruct((STEPS, ACTORS, 84 * 84 * 4), jnp.uint8),
        actions=jax.ShapeDtypeStruct((STEPS, ACTORS), jnp.int32),
        likelihoods=floats,
        rewards=floats,
        ends=floats,
        values=floats,
    )
    weights = abstract_variables(Network(), jax.ShapeDtypeStruct((1, 84 * 84 * 4), jnp.uint8))
    learner = Learner(weights, weights, weights, jax.ShapeDtypeStruct((), jnp.int32))
    last = jax.ShapeDtypeStruct((ACTORS,), jnp.float32)
    return learn, (learner, rollout, last, jax.ShapeDtypeStruct((2,), jnp.uint32))
