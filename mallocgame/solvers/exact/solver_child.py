"""The process that a solver runs in: requests come by standard input, answers by standard output, each a line of JSON.

Each has one of its own because highspy and ortools each bring a libhighs.so.1, of different versions, of which a
process can have one; and because both can overrun their time limits (CP-SAT of ortools 9.15 now and then without end,
growing to 20 GB in ten minutes), which ends with the process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO


def main() -> None:
    """Answer requests until there are no more."""
    module, answer = SOLVERS[sys.argv[1]]
    with _only_answers() as answers:
        try:
            solver: Any = import_module(module)
        except ImportError:
            _write(answers, None)
            return
        _write(answers, module)
        for line in sys.stdin.buffer:
            _write(answers, answer(solver, json.loads(line)))


def _only_answers() -> BinaryIO:
    """Standard output for the answers alone: what HiGHS prints (1.16 a banner at each start) goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    return answers


def _write(answers: BinaryIO, value: Any) -> None:
    answers.write(json.dumps(value).encode() + b"\n")
    answers.flush()


def _highs(highspy: Any, request: dict[str, Any]) -> dict[str, Any]:
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(request["cost"]), len(request["row_lower"])
    lp.col_cost_, lp.offset_ = request["cost"], request["offset"]
    lp.col_lower_, lp.col_upper_ = request["lower"], request["upper"]
    lp.row_lower_, lp.row_upper_ = request["row_lower"], [highspy.kHighsInf] * lp.num_row_
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = request["start"], request["index"]
    lp.a_matrix_.value_ = request["value"]
    if request["boolean"] is not None:
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[boolean] for boolean in request["boolean"]]
    highspy.Highs.resetGlobalScheduler(True)
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    for name, value in request["options"].items():
        solver.setOptionValue(name, value)
    solver.passModel(lp)
    solver.run()
    info, solution, status = solver.getInfo(), solver.getSolution(), solver.getModelStatus()
    found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    return {
        "optimal": status == highspy.HighsModelStatus.kOptimal,
        "infeasible": status == highspy.HighsModelStatus.kInfeasible,
        "objective": float(info.objective_function_value),
        "bound": float(info.mip_dual_bound),
        "values": list(solution.col_value) if found else None,
        "duals": list(solution.row_dual) if solution.dual_valid else None,
    }


def _cp_sat(cp_model: Any, request: dict[str, Any]) -> dict[str, Any]:
    model = cp_model.CpModel()
    variables = [model.new_int_var(low, high, "") for low, high in request["bounds"]]
    for row, least in request["rows"]:
        if row:
            model.add(sum(value * variables[variable] for variable, value in row) >= least)
        elif least > 0:
            model.add_bool_or([])
    model.minimize(sum(value * variables[variable] for variable, value in request["objective"]) + request["constant"])
    solver = cp_model.CpSolver()
    for name, value in request["options"].items():
        setattr(solver.parameters, name, value)
    solver.parameters.subsolvers.extend(request["subsolvers"])
    status = solver.solve(model)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return {
        "optimal": status == cp_model.OPTIMAL,
        "infeasible": status == cp_model.INFEASIBLE,
        "bound": solver.best_objective_bound,
        "values": [solver.value(variable) for variable in variables] if found else None,
    }


SOLVERS: dict[str, tuple[str, Callable[[Any, dict[str, Any]], dict[str, Any]]]] = {
    "highs": ("highspy", _highs),
    "cp-sat": ("ortools.sat.python.cp_model", _cp_sat),
}
"""By name: the module, and what answers a request with it."""

if __name__ == "__main__":
    main()
