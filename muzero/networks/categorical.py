"""Values and rewards as categorical distributions over a transformed scale.

The atoms are evenly spaced after the transform h(x) = sign(x) (sqrt(|x| + 1) - 1) + EPSILON x of Pohlen et al.,
"Observe and Look Further" (arXiv 1805.11593), applied to x / UNIT: close to each other near 0, where the rewards of
most moves are, and wide apart for whole returns. A number is encoded as in MuZero (arXiv 1911.08265, appendix F) by the
two atoms around it, but with weights that are linear in the number itself, not in its transform: so the mean of a
distribution is exact, for mixtures too.
"""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

UNIT = 1e-4
"""The share of what a problem has to give at which the scale turns from linear to a square root."""

EPSILON = 1e-3
LIMIT = 1.25
"""Atoms reach from -LIMIT to LIMIT: returns are shares, at most 1; numbers beyond are encoded as the limit."""


def transform(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """h(x / UNIT); strictly increasing, odd."""
    scaled = np.abs(x) / UNIT
    return np.sign(x) * (np.sqrt(scaled + 1) - 1 + EPSILON * scaled)


def inverse(y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The x with transform(x) = y; closed form of proposition A.2 of the paper."""
    root = (np.sqrt(1 + 4 * EPSILON * (np.abs(y) + 1 + EPSILON)) - 1) / (2 * EPSILON)
    return np.sign(y) * (root**2 - 1) * UNIT


@cache
def atoms(bins: int) -> npt.NDArray[np.float32]:
    """The numbers that the bins stand for, ascending from -LIMIT to LIMIT, symmetric about 0. float32 [bins]."""
    end = transform(np.array(LIMIT))
    found = inverse(np.linspace(-end, end, bins))
    return ((found - found[::-1]) / 2).astype(np.float32)


def encode(x: jax.Array, bins: int) -> jax.Array:
    """The distributions over two neighbouring atoms with mean ``x``.

    Args:
        x: float [...]; what is beyond LIMIT counts as LIMIT.

    Returns:
        Probabilities, float32 [..., bins].
    """
    grid = jnp.asarray(atoms(bins))
    x = jnp.clip(x.astype(jnp.float32), grid[0], grid[-1])
    low = jnp.clip(jnp.searchsorted(grid, x, side="right") - 1, 0, bins - 2)
    share = (x - grid[low]) / (grid[low + 1] - grid[low])
    return (1 - share)[..., None] * jax.nn.one_hot(low, bins, dtype=jnp.float32) + share[..., None] * jax.nn.one_hot(
        low + 1, bins, dtype=jnp.float32
    )


def decode(logits: jax.Array) -> jax.Array:
    """The means of distributions that are given as logits. float32 [..., bins] -> float32 [...]."""
    return mean(jax.nn.softmax(logits, axis=-1))


def mean(probabilities: jax.Array) -> jax.Array:
    """The means of distributions. float32 [..., bins] -> float32 [...]."""
    return jnp.sum(probabilities * jnp.asarray(atoms(probabilities.shape[-1])), axis=-1)
