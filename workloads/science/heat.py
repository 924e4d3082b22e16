"""Heat conduction by explicit finite differences on a nine-point stencil (e.g. Smith 1985)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from workloads import Built

CORNER, SIDE, CENTRE = 1 / 6, 4 / 6, -20 / 6
"""The nine-point Laplacian for a grid of spacing 1."""


def step(grid: jax.Array, conductivity: jax.Array) -> jax.Array:
    """One time step: temperatures and time step x conductivity, f32[rows, columns]; outside it is 0 degrees."""
    rows, columns = grid.shape
    around = jnp.pad(grid, 1)

    def moved(down: int, right: int) -> jax.Array:
        return jax.lax.slice(around, (1 + down, 1 + right), (1 + down + rows, 1 + right + columns))

    corners = moved(-1, -1) + moved(-1, 1) + moved(1, -1) + moved(1, 1)
    sides = moved(-1, 0) + moved(1, 0) + moved(0, -1) + moved(0, 1)
    return grid + conductivity * (CORNER * corners + SIDE * sides + CENTRE * grid)


def heat() -> Built:
    """50 steps on 3072 x 3072 points whose conductivity differs: 36 MiB of temperatures and 36 MiB of constants."""

    def simulate(grid: jax.Array, conductivity: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, 50, lambda _, grid: step(grid, conductivity), grid)

    field = jax.ShapeDtypeStruct((3072, 3072), jnp.float32)
    return simulate, (field, field)
