"""HiGHS on a model: a mixed integer program, solved by branch and bound in floating point, in a process of its own."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

from mallocgame.solvers.exact.answer import ModelAnswer
from mallocgame.solvers.exact.model import Model
from mallocgame.solvers.exact.solver_process import ask

TOLERANCE = 1e-9
"""Of rows and of whole numbers, absolute, in units of the model; of the objective, relative too."""

NEEDED = "HiGHS needs highspy: pip install 'mallocgame[solve]' (or pip install highspy)"


def solve_by_highs(model: Model, time_limit: float, seed: int, workers: int) -> ModelAnswer:
    """Make the objective small.

    Raises:
        BadInputError: highspy is not installed.
    """
    options: dict[str, float | int | str] = {
        "random_seed": seed,
        "threads": workers,
        "mip_rel_gap": TOLERANCE,
        "mip_abs_gap": TOLERANCE,
        "mip_feasibility_tolerance": TOLERANCE,
        "primal_feasibility_tolerance": TOLERANCE,
        "dual_feasibility_tolerance": TOLERANCE,
    }
    answer = ask_highs(model, time_limit, options)
    if answer is None:
        return ModelAnswer("time limit", None, -math.inf)
    if answer["infeasible"]:
        return ModelAnswer("infeasible", None, math.inf)
    bound = answer["bound"] if any(model.boolean) else answer["objective"]
    if answer["optimal"]:
        return ModelAnswer("optimal", answer["values"], bound)
    return ModelAnswer("time limit" if answer["values"] is None else "feasible", answer["values"], bound)


def ask_highs(
    model: Model, time_limit: float, options: dict[str, float | int | str], relaxed: bool = False
) -> dict[str, Any] | None:
    """Solve a model by HiGHS.

    Args:
        model: to be solved.
        time_limit: seconds.
        options: of HiGHS.
        relaxed: whether booleans may be anything between 0 and 1.

    Returns:
        optimal, infeasible, objective, bound (of the mixed integer program), values, duals (of the rows; without
        integers only); None where it has not come back in time.

    Raises:
        BadInputError: highspy is not installed.
    """
    cost = [0.0] * len(model.lower)
    for variable, coefficient in model.objective.terms.items():
        cost[variable] = coefficient
    lengths = [len(row.terms) for row in model.rows]
    request = {
        "cost": cost,
        "offset": model.objective.constant,
        "lower": list(model.lower),
        "upper": list(model.upper),
        "row_lower": [row.low for row in model.rows],
        "start": [0, *accumulate(lengths)],
        "index": [variable for row in model.rows for variable in row.terms],
        "value": [value for row in model.rows for value in row.terms.values()],
        "boolean": None if relaxed else list(model.boolean),
        "options": {"time_limit": max(0.01, time_limit), **options},
    }
    return ask("highs", NEEDED, request, time_limit)
