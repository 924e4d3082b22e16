"""The proven bound of game.md: no plan of a problem is quicker under M."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from time import monotonic

from mallocgame.problem.schema import Problem
from mallocgame.solvers.exact.certificate import ROUNDING, certified
from mallocgame.solvers.exact.highs import ask_highs
from mallocgame.solvers.exact.relaxation import relax
from mallocgame.solvers.exact.windows import Windows

WHOLE_ROWS = 25_000
"""Most rows of a model that is tried as a whole: HiGHS gets nowhere with larger ones in minutes."""

WHOLE_SHARE = 0.4
"""Of the time that is left, for the whole model."""


@dataclass(frozen=True)
class Bound:
    """A time that no plan can beat.

    Attributes:
        seconds: under M.
        status: ``"optimal"``: the relaxation was solved with its choices whole; ``"feasible"``: without, in part, or
            not to the end; ``"time limit"``: not at all, each instruction takes its least.
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
    deadline = started + time_limit
    model = relax(problem)
    options: dict[str, float | int | str] = {"random_seed": seed, "threads": workers}
    linear, status = certified(model, [0.0] * len(model.rows)) * model.unit, "time limit"
    answer = ask_highs(model, deadline - monotonic(), {**options, "presolve": "off"}, relaxed=True)
    if answer is None or answer["duals"] is None:
        return Bound(linear, status, linear, len(model.lower), len(model.rows), monotonic() - started)
    linear, status = max(linear, certified(model, answer["duals"]) * model.unit), "feasible"
    windows = Windows(model, answer["duals"])
    best, left = linear, deadline - monotonic()
    if left > 0.0 and len(model.rows) <= WHOLE_ROWS:
        share = WHOLE_SHARE if len(windows.parts) > 1 else 1.0
        whole = ask_highs(model, left * share, {**options, "mip_rel_gap": 1e-6})
        if whole is not None and whole["bound"] not in (inf, -inf):
            best = max(best, whole["bound"] * model.unit * (1 - ROUNDING))
            status = "optimal" if whole["optimal"] else status
    if status == "feasible" and monotonic() < deadline:
        windows.raise_bound(deadline, options)
        best = max(best, windows.bound * model.unit * (1 - ROUNDING))
    return Bound(best, status, linear, len(model.lower), len(model.rows), monotonic() - started)
