"""Workloads are for JAX as it comes: the agent's tests, in the same process, turn 64-bit numbers on."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def single_precision() -> Iterator[None]:
    """32-bit numbers during a test."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", before)
