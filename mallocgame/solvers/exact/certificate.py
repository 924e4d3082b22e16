"""What multipliers of a model's rows prove, whatever the tolerances of the solver that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mallocgame.solvers.exact.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDING = 1e-9
"""Share that is taken off for the floating point of sums and of HiGHS's branch and bound."""


def certified(model: Model, duals: Sequence[float]) -> float:
    """The bound in units that multipliers of the rows prove.

    For any multipliers y >= 0 and any x within bounds that satisfies the rows (Ax >= b), cx >= yb + (c - yA)x; the
    last term is at least what each variable's own bounds allow.
    """
    multipliers: NDArray[np.float64] = np.maximum(np.array(duals, np.float64), 0.0)
    count = len(model.lower)
    lengths = [len(row.terms) for row in model.rows]
    columns = np.array([variable for row in model.rows for variable in row.terms], np.int64)
    values = np.array([value for row in model.rows for value in row.terms.values()], np.float64)
    weights: NDArray[np.float64] = values * np.repeat(multipliers, lengths)
    reduced: NDArray[np.float64] = -np.bincount(columns, weights, count).astype(np.float64)
    for variable, coefficient in model.objective.terms.items():
        reduced[variable] += coefficient
    lows = np.array([row.low for row in model.rows], np.float64)
    ends = np.minimum(reduced * np.array(model.lower), reduced * np.array(model.upper))
    bound = model.objective.constant + float(multipliers @ lows) + float(ends.sum())
    return bound - ROUNDING * abs(bound)
