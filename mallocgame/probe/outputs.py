"""Whether two programs compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def difference(ours: Sequence[Array], base: Sequence[Array]) -> float | None:
    """The largest difference of any output as a share of that output's largest magnitude; 0 for equal values.

    None where shapes or types differ, or only one of the two has a NaN or an infinity at some place.
    """
    if [(one.shape, one.dtype) for one in ours] != [(one.shape, one.dtype) for one in base]:
        return None
    worst = 0.0
    for one, other in zip(ours, base, strict=True):
        if one.dtype == other.dtype and one.tobytes() == other.tobytes():
            continue
        left, right = _wide(one), _wide(other)
        finite = np.isfinite(left)
        if not np.array_equal(finite, np.isfinite(right)) or not np.array_equal(
            left[~finite], right[~finite], equal_nan=True
        ):
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            gap = float(np.abs(left - right)[finite].max(initial=0.0))
        if not np.isfinite(gap):
            return None
        scale = float(np.abs(right)[finite].max(initial=0.0))
        worst = max(worst, gap / scale if scale else float(gap > 0))
    return worst


def all_finite(outputs: Sequence[Array]) -> bool:
    """Whether there is no NaN and no infinity."""
    return all(bool(np.isfinite(_wide(output)).all()) for output in outputs)


def _wide(array: Array) -> Array:
    """In 64-bit floating point, complex numbers as two of them."""
    if np.issubdtype(array.dtype, np.complexfloating):
        return np.stack([array.real, array.imag]).astype(np.float64)
    return array.astype(np.float64)
