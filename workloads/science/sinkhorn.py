"""Optimal transport with entropic regularisation (Cuturi, arXiv 1306.0895), in log space."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from workloads import Built

ROUNDS = 20
REGULARISATION = 0.05


def transport(costs: jax.Array, sources: jax.Array, sinks: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Potentials after ``ROUNDS`` rounds, and what the transport costs.

    Args:
        costs: f32[sources, sinks].
        sources: log of the mass at each source, f32[sources].
        sinks: log of the mass wanted at each sink, f32[sinks].

    Returns:
        Potentials f32[sources] and f32[sinks] in units of the regularisation, and the cost f32[].
    """
    scaled = costs / -REGULARISATION

    def advance(_: int, potentials: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        left = sources - jax.nn.logsumexp(scaled + potentials[1], 1)
        return left, sinks - jax.nn.logsumexp(scaled + left[:, None], 0)

    left, right = jax.lax.fori_loop(0, ROUNDS, advance, (jnp.zeros_like(sources), jnp.zeros_like(sinks)))
    return left, right, (jnp.exp(scaled + left[:, None] + right) * costs).sum()


def sinkhorn() -> Built:
    """3072 sources and 3840 sinks: one matrix of 45 MiB, read by rows and by columns in every round."""
    rows, columns = 3072, 3840
    return transport, tuple(
        jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((rows, columns), (rows,), (columns,))
    )
