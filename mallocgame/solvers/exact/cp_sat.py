"""CP-SAT (ortools) on a model: booleans as they are, times as integers, with an answer that no rounding spoils.

CP-SAT knows integers only. Each time variable becomes its floor in *ticks*, each row is loosened by what that, and
rounding its coefficients, can change. So every plan of the model is a plan of the integer model that costs no more
there, and the bound of the integer model is one of the model. The price is that many ticks of accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from mallocgame.solvers.exact.answer import ModelAnswer
from mallocgame.solvers.exact.model import Model, Row
from mallocgame.solvers.exact.solver_process import ask

TICKS = 2**24
"""Ticks a unit of the model. With more, sums come near to what CP-SAT can hold; with fewer, proofs need a wider gap."""

NEEDED = "CP-SAT needs ortools: pip install 'mallocgame[solve]' (or pip install ortools)"

SEARCHES = ("max_lp", "quick_restart", "core", "reduced_costs")
"""Of CP-SAT, one a worker: times are sums, so the first has to see all rows as a linear program."""


def solve_by_cp_sat(model: Model, time_limit: float, seed: int, workers: int) -> ModelAnswer:
    """Make the objective small.

    Raises:
        BadInputError: ortools is not installed.
    """
    bounds = [
        (math.ceil(low), math.floor(high)) if boolean else (math.floor(low * TICKS), math.floor(high * TICKS))
        for low, high, boolean in zip(model.lower, model.upper, model.boolean, strict=True)
    ]
    rows = [rounded(row, model.boolean) for row in model.rows]
    objective, constant = rounded_objective(model)
    request = {
        "bounds": bounds,
        "rows": [(list(terms.items()), least) for terms, least in rows],
        "objective": list(objective.items()),
        "constant": constant,
        "subsolvers": SEARCHES,
        "options": {
            "max_time_in_seconds": max(0.01, time_limit),
            "random_seed": seed,
            "num_workers": workers,
            "linearization_level": 2,
            "cp_model_presolve": False,  # ortools 9.15 loses solutions in it where coefficients are large
            "add_mir_cuts": False,  # ortools 9.15 now and then makes them without end, where coefficients are large
        },
    }
    answer = ask("cp-sat", NEEDED, request, time_limit)
    if answer is None:
        return ModelAnswer("time limit", None, -math.inf)
    if answer["infeasible"]:
        return ModelAnswer("infeasible", None, math.inf)
    bound = answer["bound"] / TICKS
    if answer["values"] is None:
        return ModelAnswer("time limit", None, bound)
    values = [value / (1 if boolean else TICKS) for value, boolean in zip(answer["values"], model.boolean, strict=True)]
    return ModelAnswer("optimal" if answer["optimal"] else "feasible", values, bound)


def rounded(row: Row, boolean: list[bool]) -> tuple[dict[int, int], int]:
    """A row of the integer model that holds wherever the row does, its times rounded down: coefficients, and low."""
    if all(boolean[variable] and value.is_integer() for variable, value in row.terms.items()):
        return {variable: int(value) for variable, value in row.terms.items()}, math.ceil(row.low)
    coefficients: dict[int, int] = {}
    slack = 1.0
    for variable, value in row.terms.items():
        if boolean[variable]:
            coefficients[variable] = round(value * TICKS)
            slack += abs(value * TICKS - coefficients[variable])
        else:
            coefficients[variable] = round(value)
            assert value == coefficients[variable], "times have whole coefficients"
            slack += max(value, 0.0)
    return coefficients, math.floor(row.low * TICKS - slack)


def rounded_objective(model: Model) -> tuple[Mapping[int, int], int]:
    """The objective in ticks, never more than it is."""
    coefficients: dict[int, int] = {}
    constant = math.floor(model.objective.constant * TICKS)
    for variable, value in model.objective.terms.items():
        coefficients[variable] = math.floor(value * TICKS) if model.boolean[variable] else round(value)
    return coefficients, constant
