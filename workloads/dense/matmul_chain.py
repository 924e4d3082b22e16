"""A chain of matrix products, as the matrix-chain problem of Cormen et al. has it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp

from workloads import Built

SIZES = (256, 4096, 256, 4096, 256, 2048, 4096, 256, 2048, 4096, 4096, 1024, 256)
"""Rows of the first matrix, then columns of each of the 12: every product is bound by memory, some are 4096 x 4096."""


def product(matrices: Sequence[jax.Array]) -> jax.Array:
    """The product of [a, b], [b, c], ... as a balanced tree, each in the matrices' own type."""
    if len(matrices) == 1:
        return matrices[0]
    middle = len(matrices) // 2
    return product(matrices[:middle]) @ product(matrices[middle:])


def matmul_chain() -> Built:
    """The product of 12 bf16 matrices, 256 to 4096 wide."""
    return product, ([jax.ShapeDtypeStruct(sizes, jnp.bfloat16) for sizes in pairwise(SIZES)],)
