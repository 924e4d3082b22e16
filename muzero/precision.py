"""JAX's 64-bit numbers, for as long as the agent works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax


@contextmanager
def double_precision() -> Iterator[None]:
    """64-bit numbers inside, which ``muzero.environment`` needs and turns on; outside what the process had before.

    Import the rest of ``muzero`` inside it in a process that uses JAX for something else, too.
    """
    config: Any = jax.config
    before = config.jax_enable_x64
    config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        config.update("jax_enable_x64", before)
