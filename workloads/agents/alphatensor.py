"""AlphaTensor's attentive torso (Fawzi et al. 2022, Nature 610, supplement A)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables, in_bfloat16
from workloads.transformer import Block


class Torso(nn.Module):
    """Three grids, one for each pair of modes of the tensor, attended two at a time along a shared mode."""

    width: int = 512
    blocks: int = 4
    heads: int = 16

    @nn.compact
    def __call__(self, tensors: jax.Array, scalars: jax.Array) -> jax.Array:
        """[batch, S, S, S, history] and [batch, scalars] -> bf16[batch, 3*S*S, width]."""
        batch, size = tensors.shape[:2]
        grids = []
        for first, second, third in ((1, 2, 3), (3, 1, 2), (2, 3, 1)):
            grid = tensors.transpose(0, first, second, third, 4).reshape(batch, size, size, -1)
            extra = nn.Dense(size * size, dtype=jnp.bfloat16)(scalars).reshape(batch, size, size, 1)
            grids.append(nn.Dense(self.width, dtype=jnp.bfloat16)(jnp.concatenate([grid, extra], -1)))
        for _ in range(self.blocks):
            for one, other in ((0, 1), (2, 0), (1, 2)):
                rows = jnp.concatenate([grids[one], grids[other].swapaxes(1, 2)], 2)
                rows = Block(self.heads, 4 * self.width)(rows)
                grids[one], grids[other] = rows[:, :, :size], rows[:, :, size:].swapaxes(1, 2)
        return jnp.stack(grids, 1).reshape(batch, 3 * size * size, self.width)


def alphatensor() -> Built:
    """Inference for products of 4x4 matrices: tensors of 16x16x16 with 7 past moves, batch 32, weights in bf16."""
    model = Torso()
    tensors = jax.ShapeDtypeStruct((32, 16, 16, 16, 8), jnp.bfloat16)
    scalars = jax.ShapeDtypeStruct((32, 2), jnp.bfloat16)

    def infer(variables: Any, tensors: jax.Array, scalars: jax.Array) -> Any:
        return model.apply(variables, tensors, scalars)

    return infer, (in_bfloat16(abstract_variables(model, tensors, scalars)), tensors, scalars)
