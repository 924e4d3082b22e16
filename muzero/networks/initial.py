"""Fresh parameters, drawn by numpy: JAX would compile a random generator for each shape, a minute of work on a CPU."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

PROJECTIONS = frozenset({"query", "key", "value"})
"""Layers of flax's attention whose kernels are [inputs, heads, outputs]; all other kernels have their outputs last."""

LAST = "_out"
"""Ends the names of layers that begin at 0."""

PLACE_DEVIATION = 0.02


def draw(shapes: Any, rng: np.random.Generator) -> Any:
    """Parameters for a pytree of dicts of shapes, each after its name: float32.

    Kernels are normal with variance 1 / inputs (LeCun), biases 0, scales 1.
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, shape: _draw([str(part.key) for part in path], tuple(shape.shape), rng), shapes
    )


def _draw(names: list[str], shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    *outer, name = names
    if name == "scale":
        return np.ones(shape, np.float32)
    if name == "place":
        return (PLACE_DEVIATION * rng.standard_normal(shape)).astype(np.float32)
    if name == "kernel" and not outer[-1].endswith(LAST):
        inputs = shape[0] if outer[-1] in PROJECTIONS else prod(shape[:-1])
        return (rng.standard_normal(shape) / sqrt(inputs)).astype(np.float32)
    return np.zeros(shape, np.float32)
