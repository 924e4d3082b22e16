"""MuZero's networks and loss for chess (Schrittwieser et al., arXiv 1911.08265).

Residual blocks are those of its successor (arXiv 2104.06294): norms first, over channels.
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

FEATURES = 256
MOVES = 73
"""Planes of moves of a square, as in AlphaZero."""

UNROLL = 5


def half_gradient(x: jax.Array) -> jax.Array:
    """``x``, but half of its gradient (appendix G)."""
    return (x + jax.lax.stop_gradient(x)) / 2


def zero_to_one(state: jax.Array) -> jax.Array:
    """Each state of [batch, height, width, features] between 0 and 1 (appendix G)."""
    low, high = (bound(state, (1, 2, 3), keepdims=True) for bound in (jnp.min, jnp.max))
    return (state - low) / (high - low + 1e-5)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a residual."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, FEATURES] -> the same."""
        y = x
        for _ in range(2):
            y = nn.relu(nn.LayerNorm(dtype=jnp.bfloat16)(y))
            y = nn.Conv(FEATURES, (3, 3), use_bias=False, dtype=jnp.bfloat16)(y)
        return x + y


class Tower(nn.Module):
    """A convolution and a scan over residual blocks."""

    blocks: int

    @nn.compact
    def __call__(self, planes: jax.Array) -> jax.Array:
        """[batch, height, width, planes] -> a state [batch, height, width, FEATURES]."""

        def layer(block: ResidualBlock, x: jax.Array, _: None) -> tuple[jax.Array, None]:
            return block(x), None

        x = nn.Conv(FEATURES, (3, 3), use_bias=False, dtype=jnp.bfloat16)(planes)
        scan = nn.scan(layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=self.blocks)
        return zero_to_one(scan(ResidualBlock(), x, None)[0])


class Prediction(nn.Module):
    """Policy and value of a state."""

    @nn.compact
    def __call__(self, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[batch, height, width, FEATURES] -> logits f32[batch, height*width*MOVES] and values f32[batch]."""
        batch = len(state)
        policy = nn.relu(nn.Conv(FEATURES, (3, 3), dtype=jnp.bfloat16)(state))
        policy = nn.Conv(MOVES, (1, 1), dtype=jnp.bfloat16)(policy).reshape(batch, -1)
        value = nn.relu(nn.Conv(1, (1, 1), dtype=jnp.bfloat16)(state)).reshape(batch, -1)
        value = nn.relu(nn.Dense(256, dtype=jnp.bfloat16)(value))
        value = nn.tanh(nn.Dense(1, dtype=jnp.bfloat16)(value).astype(jnp.float32))
        return policy.astype(jnp.float32), value[:, 0]


class MuZero(nn.Module):
    """Representation, dynamics and prediction."""

    blocks: int = 16

    def setup(self) -> None:
        """The three networks."""
        self.representation, self.dynamics = Tower(self.blocks), Tower(self.blocks)
        self.predict = Prediction()

    def start(self, boards: jax.Array) -> jax.Array:
        """[batch, height, width, planes] -> the first state."""
        return self.representation(boards)

    def advance(self, state: jax.Array, move: jax.Array) -> jax.Array:
        """A state and a move as planes [batch, height, width, planes] -> the next state."""
        return self.dynamics(jnp.concatenate([state, move], -1))

    def __call__(self, boards: jax.Array, move: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Policy and value after one move."""
        return self.predict(self.advance(self.start(boards), move))


def muzero() -> Built:
    """One training step, batch 32 of 8x8, dynamics as a scan over 5 moves: f32 weights and momentum, bf16 compute."""
    model = MuZero()
    apply: Callable[..., Any] = model.apply
    batch = 32
    boards = jax.ShapeDtypeStruct((batch, 8, 8, 119), jnp.bfloat16)
    moves = jax.ShapeDtypeStruct((UNROLL, batch, 8, 8, 8), jnp.bfloat16)
    outcomes = jax.ShapeDtypeStruct((UNROLL + 1, batch), jnp.float32)
    visits = jax.ShapeDtypeStruct((UNROLL + 1, batch, 64 * MOVES), jnp.float32)
    weights = abstract_variables(model, boards, jax.ShapeDtypeStruct(moves.shape[1:], moves.dtype))

    def step_loss(weights: Any, state: jax.Array, outcome: jax.Array, visited: jax.Array) -> jax.Array:
        policy, value = apply(weights, state, method=lambda model, state: model.predict(state))
        return ((value - outcome) ** 2 - (visited * jax.nn.log_softmax(policy)).sum(-1)).mean()

    def loss(weights: Any, boards: jax.Array, moves: jax.Array, outcomes: jax.Array, visits: jax.Array) -> jax.Array:
        def advance(state: jax.Array, step: Any) -> tuple[jax.Array, jax.Array]:
            move, outcome, visited = step
            state = apply(weights, half_gradient(state), move, method="advance")
            return state, step_loss(weights, state, outcome, visited) / UNROLL

        state = apply(weights, boards, method="start")
        rest = jax.lax.scan(advance, state, (moves, outcomes[1:], visits[1:]))[1]
        return step_loss(weights, state, outcomes[0], visits[0]) + rest.sum()

    def train(weights: Any, velocity: Any, *experience: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, *experience)
        return *momentum_step(weights, velocity, gradients), value

    return train, (weights, weights, boards, moves, outcomes, visits)
