"""Programs for the tests of the probe."""

from __future__ import annotations

from typing import Any

Pair = tuple[Any, tuple[Any, ...]]
SIZE = 2048


def _loop(iterations: int) -> Pair:
    import jax
    import jax.numpy as jnp

    def run(x: Any) -> Any:
        return jax.lax.fori_loop(0, iterations, lambda _, x: jnp.sin(x) * 1.0001 + x * 0.5, x)

    return run, (jax.ShapeDtypeStruct((SIZE,), jnp.float32),)


def hundred() -> Pair:
    """100 iterations."""
    return _loop(100)


def hundred_and_three() -> Pair:
    """3 % more work."""
    return _loop(103)


def two_hundred() -> Pair:
    """Twice the work."""
    return _loop(200)
