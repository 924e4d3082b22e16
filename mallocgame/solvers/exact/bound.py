"""The proven bound of game.md: no plan of a problem is quicker under M."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from mallocgame.problem.schema import Problem
from mallocgame.solvers.exact.highs import ask_highs
from mallocgame.solvers.exact.model import Model
from mallocgame.solvers.exact.relaxation import relax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ROUNDING = 1e-9
"""Share that is taken off for the floating point of sums and of HiGHS's branch and bound."""


@dataclass(frozen=True)
class Bound:
    """A time that no plan can beat.

    Attributes:
        seconds: under M.
        status: ``"optimal"``: the relaxation was solved with its choices whole; ``"feasible"``: without, or not to the
            end; ``"time limit"``: not at all, each instruction takes its least.
        linear: the bound of the linear relaxation alone, seconds.
        variables, rows: size of the relaxation.
        seconds_spent: wall time.
    """

    seconds: float
    status: str
    linear: float
    variables: int
    rows: int
    seconds_spent: float


def proven_bound(problem: Problem, *, time_limit: float = 60.0, seed: int = 0, workers: int = 2) -> Bound:
    """A lower bound for every plan of a problem under M, and for XLA's own placement (docs/bounds.md).

    Args:
        problem: any.
        time_limit: seconds; the bound holds wherever it ends.
        seed: of the solver.
        workers: threads of the solver.

    Raises:
        BadInputError: highspy is not installed.
    """
    started = monotonic()
    model = relax(problem)
    options: dict[str, float | int | str] = {"random_seed": seed, "threads": workers}
    linear, status = certified(model, [0.0] * len(model.rows)) * model.unit, "time limit"
    answer = ask_highs(model, started + time_limit - monotonic(), options, relaxed=True)
    if answer is not None and answer["duals"] is not None:
        linear, status = max(linear, certified(model, answer["duals"]) * model.unit), "feasible"
    best = linear
    left = started + time_limit - monotonic()
    if status == "feasible" and left > 0:
        whole = ask_highs(model, left, {**options, "mip_rel_gap": 1e-6})
        if whole is not None and whole["bound"] not in (inf, -inf):
            best = max(best, whole["bound"] * model.unit * (1 - ROUNDING))
            status = "optimal" if whole["optimal"] else status
    return Bound(best, status, linear, len(model.lower), len(model.rows), monotonic() - started)


def certified(model: Model, duals: Sequence[float]) -> float:
    """The bound in units that multipliers of the rows prove, whatever the solver's tolerances.

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
