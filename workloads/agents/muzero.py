"""MuZero's networks and loss (Schrittwieser et al., arXiv 1911.08265).

They have the form of its Atari agent, but 6 residual blocks instead of 16, for the time of the compile. The blocks are
those of its successor (arXiv 2104.06294): norms first, over channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables
from workloads.training import momentum_step

ACTIONS = 18
SUPPORT = 300
UNROLL = 5


def scaled(x: jax.Array) -> jax.Array:
    """Invertible squashing of values (appendix F), f32 of any shape."""
    return jnp.sign(x) * (jnp.sqrt(jnp.abs(x) + 1) - 1) + 0.001 * x


def two_hot(x: jax.Array) -> jax.Array:
    """Weights of the two integers beside each value: [...] -> [..., 2*SUPPORT + 1]."""
    x = jnp.clip(x, -SUPPORT, SUPPORT)
    return jnp.maximum(0.0, 1 - jnp.abs(x[..., None] - jnp.arange(-SUPPORT, SUPPORT + 1)))


def soft_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean over all but the last axis: logits and targets f32[..., classes] -> f32[]."""
    return -(targets * jax.nn.log_softmax(logits)).sum(-1).mean()


def _conv(features: int, stride: int = 1) -> nn.Conv:
    return nn.Conv(features, (3, 3), (stride, stride), use_bias=False, dtype=jnp.bfloat16)


def _zero_to_one(state: jax.Array) -> jax.Array:
    """Each state of [batch, height, width, features] between 0 and 1."""
    low, high = (bound(state, (1, 2, 3), keepdims=True) for bound in (jnp.min, jnp.max))
    return (state - low) / (high - low + 1e-5)


class ResidualTower(nn.Module):
    """Residual blocks of two 3x3 convolutions."""

    blocks: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, features] -> the same."""
        for _ in range(self.blocks):
            y = _conv(x.shape[-1])(nn.relu(nn.LayerNorm(dtype=jnp.bfloat16)(x)))
            x = x + _conv(x.shape[-1])(nn.relu(nn.LayerNorm(dtype=jnp.bfloat16)(y)))
        return x


class Representation(nn.Module):
    """Frames to a state, 16 times smaller."""

    blocks: int

    @nn.compact
    def __call__(self, frames: jax.Array) -> jax.Array:
        """[batch, 96, 96, planes] -> [batch, 6, 6, 256]."""
        x = ResidualTower(1)(_conv(128, 2)(frames))
        x = ResidualTower(1)(_conv(256, 2)(x))
        x = ResidualTower(1)(nn.avg_pool(x, (2, 2), (2, 2)))
        return _zero_to_one(ResidualTower(self.blocks)(nn.avg_pool(x, (2, 2), (2, 2))))


class Head(nn.Module):
    """Logits of a state."""

    outputs: int

    @nn.compact
    def __call__(self, state: jax.Array) -> jax.Array:
        """[batch, height, width, features] -> f32[batch, outputs]."""
        x = nn.Conv(32, (1, 1), dtype=jnp.bfloat16)(state)
        x = nn.relu(nn.LayerNorm(dtype=jnp.bfloat16)(x)).reshape(len(state), -1)
        return nn.Dense(self.outputs, dtype=jnp.bfloat16)(x).astype(jnp.float32)


class MuZero(nn.Module):
    """Representation, dynamics and prediction."""

    blocks: int

    def setup(self) -> None:
        """The three networks."""
        self.representation = Representation(self.blocks)
        self.entry, self.dynamics = _conv(256), ResidualTower(self.blocks)
        self.reward, self.value = Head(2 * SUPPORT + 1), Head(2 * SUPPORT + 1)
        self.policy = Head(ACTIONS)

    def start(self, frames: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """[batch, 96, 96, planes] -> state, policy and value logits."""
        state = self.representation(frames)
        return state, self.policy(state), self.value(state)

    def advance(self, state: jax.Array, action: jax.Array) -> tuple[jax.Array, ...]:
        """A state and actions i32[batch] -> next state, reward, policy and value logits."""
        plane = jnp.broadcast_to((action / ACTIONS).astype(state.dtype)[:, None, None, None], (*state.shape[:3], 1))
        state = _zero_to_one(self.dynamics(self.entry(jnp.concatenate([state, plane], -1))))
        return state, self.reward(state), self.policy(state), self.value(state)

    def __call__(self, frames: jax.Array, action: jax.Array) -> tuple[jax.Array, ...]:
        """The first step and one more: what has all weights."""
        return self.advance(self.start(frames)[0], action)


def muzero() -> Built:
    """One training step, batch 128, dynamics as a scan over 5 steps: f32 weights and momentum, bf16 compute."""
    model = MuZero(6)
    apply: Callable[..., Any] = model.apply
    batch = 128
    frames = jax.ShapeDtypeStruct((batch, 96, 96, 12), jnp.bfloat16)
    actions = jax.ShapeDtypeStruct((UNROLL, batch), jnp.int32)
    rewards = jax.ShapeDtypeStruct((UNROLL, batch), jnp.float32)
    values = jax.ShapeDtypeStruct((UNROLL + 1, batch), jnp.float32)
    visits = jax.ShapeDtypeStruct((UNROLL + 1, batch, ACTIONS), jnp.float32)
    weights = abstract_variables(model, frames, jax.ShapeDtypeStruct((batch,), jnp.int32))

    def loss(weights: Any, frames: jax.Array, actions: Any, rewards: Any, values: Any, visits: Any) -> jax.Array:
        rewards, values = two_hot(scaled(rewards)), two_hot(scaled(values))

        def advance(state: jax.Array, step: Any) -> tuple[jax.Array, jax.Array]:
            action, reward_target, value_target, visit_target = step
            state = (state + jax.lax.stop_gradient(state)) / 2
            state, reward, policy, value = apply(weights, state, action, method="advance")
            pairs = ((reward, reward_target), (value, value_target), (policy, visit_target))
            return state, jnp.stack([soft_cross_entropy(*pair) for pair in pairs]).sum() / UNROLL

        state, policy, value = apply(weights, frames, method="start")
        first = soft_cross_entropy(value, values[0]) + soft_cross_entropy(policy, visits[0])
        rest = jax.lax.scan(advance, state, (actions, rewards, values[1:], visits[1:]))[1]
        return first + rest.sum()

    def train(weights: Any, velocity: Any, *experience: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, *experience)
        return *momentum_step(weights, velocity, gradients), value

    return train, (weights, weights, frames, actions, rewards, values, visits)
