"""How many cycles each operand or output saves by being in fast memory, from a few observations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_RIDGE = 1e-9


def fit_weights(masks: Sequence[int], cycles: Sequence[float], site_bytes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Non-negative weights w with ``cycles[i] - cycles[0] = -w . (mask[i] - mask[0])`` as nearly as can be.

    Of all that fit, those in proportion to the bytes where nothing speaks against it: the least sum of w^2 / bytes.

    Args:
        masks: observed placement masks, N of them.
        cycles: observed cycles, N of them.
        site_bytes: (S,) bytes accessed at each site.

    Returns:
        (S,) cycles.
    """
    sites = len(site_bytes)
    if len(masks) < 2 or sites == 0:
        return np.zeros(sites)
    bits: NDArray[np.float64] = np.array(
        [[mask >> bit & 1 for bit in range(sites)] for mask in masks], dtype=np.float64
    )
    scale: NDArray[np.float64] = np.sqrt(np.maximum(site_bytes, 1.0))
    design: NDArray[np.float64] = (bits[1:] - bits[0]) * scale
    saved: NDArray[np.float64] = cycles[0] - np.array(cycles[1:], dtype=np.float64)
    found: NDArray[np.float64] = np.zeros(sites)
    active = np.flatnonzero(np.abs(design).sum(axis=0))
    while len(active):
        used = design[:, active]
        gram: NDArray[np.float64] = used @ used.T
        gram += np.eye(len(gram)) * (_RIDGE * float(np.trace(gram)))
        best: NDArray[np.float64] = used.T @ np.linalg.solve(gram, saved)
        if best.min() >= 0.0:
            found[active] = best
            break
        active = active[best >= 0.0]
    return found * scale
