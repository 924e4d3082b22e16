"""Inputs for a program: made up from shapes and types, or read from a file of NumPy arrays."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mallocgame.system.errors import BadInputError
from mallocgame.system.printable import one_line

Array = NDArray[Any]
Abstract = tuple[tuple[int, ...], np.dtype[Any]]
"""Shape and type of an array."""


def make_inputs(wanted: Sequence[Abstract], seed: int) -> list[Array]:
    """Made-up arrays that keep most programs away from NaN and from places out of range.

    Floating point with two or more dimensions: normal, scaled by one over the square root of the last but one (a
    product of such matrices keeps its size). With fewer: uniform from 0.5 to 1.5, for they are scales, variances,
    steps. Integers: from 0 up to the smallest first dimension of a floating-point input with two or more dimensions (at
    least 2), so that they index any of these. Booleans: either.

    Args:
        wanted: shapes and types; types of ``ml_dtypes`` included.
        seed: the same seed, position, shape and type give the same array.
    """
    first = [shape[0] for shape, dtype in wanted if len(shape) >= 2 and _is_floating(dtype)]
    below = max(2, min(first, default=2))
    return [
        _make(shape, dtype, below, np.random.default_rng([seed, number]))
        for number, (shape, dtype) in enumerate(wanted)
    ]


def _make(shape: tuple[int, ...], dtype: np.dtype[Any], below: int, rng: np.random.Generator) -> Array:
    if dtype == np.bool_:
        return rng.integers(2, size=shape).astype(dtype)
    if np.issubdtype(dtype, np.integer):
        return rng.integers(min(below, np.iinfo(dtype).max), size=shape).astype(dtype)
    if np.issubdtype(dtype, np.complexfloating):
        return (_reals(shape, rng) + 1j * _reals(shape, rng)).astype(dtype)
    if _is_floating(dtype):
        return _reals(shape, rng).astype(dtype)
    return rng.integers(2, size=shape).astype(dtype)


def _reals(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if len(shape) < 2:
        return rng.uniform(0.5, 1.5, size=shape).astype(np.float32)
    return rng.standard_normal(shape, dtype=np.float32) / np.float32(max(1, shape[-2]) ** 0.5)


def _is_floating(dtype: np.dtype[Any]) -> bool:
    """Floating point, bfloat16 and the like included, whose kind NumPy calls V; its integers of 2 and 4 bits apart."""
    return np.issubdtype(dtype, np.floating) or (dtype.kind == "V" and "float" in dtype.name)


def read_inputs(path: str | os.PathLike[str], wanted: Sequence[Abstract]) -> list[Array]:
    """The arrays of a file of ``numpy.savez(path, *arrays)``, in order, for a program with these inputs.

    NumPy saves bfloat16 and the like as bytes without a type; they get the program's.

    Raises:
        BadInputError: it cannot be read, or has other shapes or types.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            names = [f"arr_{number}" for number in range(len(wanted))]
            if sorted(file.files) != sorted(names):
                raise BadInputError(f"{path}: has {len(file.files)} arrays, the program has {len(wanted)} inputs")
            return [_checked(file[name], *one, f"{path}: {name}") for name, one in zip(names, wanted, strict=True)]
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        raise BadInputError(f"{path}: not a file of numpy.savez: {one_line(error, 200)}") from None


def _checked(found: Array, shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> Array:
    if found.dtype.kind == "V" and dtype.kind == "V" and found.dtype.itemsize == dtype.itemsize:
        found = found.view(dtype)
    if found.shape != shape or found.dtype != dtype:
        raise BadInputError(f"{where} is {found.dtype}{list(found.shape)}, the program wants {dtype}{list(shape)}")
    return found
