"""The array type of the environment."""

from __future__ import annotations

from typing import TypeAlias

import jax

Array: TypeAlias = jax.Array
"""Of JAX inside the functions; numpy arrays where tables are made. Shapes and units are told where a field is."""
