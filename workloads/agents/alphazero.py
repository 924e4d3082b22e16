"""AlphaZero's network (Silver et al., arXiv 1712.01815), with the board and planes of AlphaGo Zero.

It has 10 residual blocks instead of 20, for the time of its compile.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables
from workloads.training import momentum_step


class AlphaZero(nn.Module):
    """A residual tower of 3x3 convolutions with a policy head and a value head."""

    blocks: int = 10
    features: int = 256

    @nn.compact
    def __call__(self, boards: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        """[batch, size, size, planes] -> logits f32[batch, size**2 + 1] and values f32[batch]."""

        def conv_norm(x: jax.Array, features: int, kernel: int) -> jax.Array:
            x = nn.Conv(features, (kernel, kernel), use_bias=False, dtype=jnp.bfloat16)(x)
            return nn.BatchNorm(use_running_average=not train, momentum=0.9, dtype=jnp.bfloat16)(x)

        batch, size = boards.shape[:2]
        x = nn.relu(conv_norm(boards, self.features, 3))
        for _ in range(self.blocks):
            y = nn.relu(conv_norm(x, self.features, 3))
            x = nn.relu(x + conv_norm(y, self.features, 3))
        policy = nn.relu(conv_norm(x, 2, 1)).reshape(batch, -1)
        policy = nn.Dense(size * size + 1, dtype=jnp.bfloat16)(policy)
        value = nn.relu(conv_norm(x, 1, 1)).reshape(batch, -1)
        value = nn.relu(nn.Dense(256, dtype=jnp.bfloat16)(value))
        value = nn.tanh(nn.Dense(1, dtype=jnp.bfloat16)(value).astype(jnp.float32))
        return policy.astype(jnp.float32), value[:, 0]


def alphazero() -> Built:
    """One training step, batch 64 of 19x19: f32 weights and momentum, bf16 compute, batch statistics updated."""
    model = AlphaZero()
    boards = jax.ShapeDtypeStruct((64, 19, 19, 17), jnp.bfloat16)
    visits = jax.ShapeDtypeStruct((64, 19 * 19 + 1), jnp.float32)
    outcomes = jax.ShapeDtypeStruct((64,), jnp.float32)
    variables = abstract_variables(model, boards, False)
    weights, statistics = variables["params"], variables["batch_stats"]

    def train(
        weights: Any, velocity: Any, statistics: Any, boards: jax.Array, visits: jax.Array, outcomes: jax.Array
    ) -> Any:
        def loss(weights: Any) -> Any:
            (policy, value), updated = model.apply(
                {"params": weights, "batch_stats": statistics}, boards, True, mutable=["batch_stats"]
            )
            policy_loss = -(visits * jax.nn.log_softmax(policy)).sum(-1)
            decay = sum((w * w).sum() for w in jax.tree.leaves(weights))
            return (policy_loss + (value - outcomes) ** 2).mean() + 1e-4 * decay, updated["batch_stats"]

        (value, updated), gradients = jax.value_and_grad(loss, has_aux=True)(weights)
        return *momentum_step(weights, velocity, gradients), updated, value

    return train, (weights, weights, statistics, boards, visits, outcomes)
