"""The process that HiGHS runs in: pickled requests come by standard input, pickled answers go by standard output.

It is one of its own because highspy and ortools each bring a libhighs.so.1, of different versions, of which a process
can have one; and because HiGHS can overrun its time limit, which ends with the process.
"""

from __future__ import annotations

import pickle
import sys
from importlib import import_module
from typing import Any


def main() -> None:
    """Answer requests until there are no more."""
    try:
        highspy: Any = import_module("highspy")
    except ImportError:
        pickle.dump(None, sys.stdout.buffer)
        return
    pickle.dump(highspy.Highs().version(), sys.stdout.buffer)
    while True:
        sys.stdout.buffer.flush()
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_answer(highspy, request), sys.stdout.buffer)


def _answer(highspy: Any, request: dict[str, Any]) -> dict[str, Any]:
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(request["cost"]), len(request["row_lower"])
    lp.col_cost_, lp.offset_ = request["cost"], request["offset"]
    lp.col_lower_, lp.col_upper_ = request["lower"], request["upper"]
    lp.row_lower_, lp.row_upper_ = request["row_lower"], request["row_lower"] * 0.0 + highspy.kHighsInf
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


if __name__ == "__main__":
    main()
