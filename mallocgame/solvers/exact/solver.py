"""The exact solver on the whole problem: proven best where it finishes in time, else the best plan it has found."""

from __future__ import annotations

from mallocgame.solvers.base import Answer, Task, register
from mallocgame.system.errors import BadInputError, NoAnswerError


@register("exact")
def solve(task: Task) -> Answer:
    """CP-SAT on the formulation of ``mallocgame.solvers.exact``.

    Raises:
        BadInputError: ortools is not installed, or another objective than M is asked for.
        NoAnswerError: the problem is too large, or nothing was found in the time.
    """
    from mallocgame.solvers.exact import solve_exactly

    if task.objective != "M":
        raise BadInputError("the solver exact knows model M only: leave --objective out, or use local")
    found = solve_exactly(
        task.problem, backend="cp-sat", time_limit=task.time_limit, seed=task.seed, barred=task.barred
    )
    if found.plan is None:
        raise NoAnswerError(f"the solver exact has no plan: {found.reason or found.status}; use local")
    task.improved(found.seconds, 1)
    return Answer(found.plan, found.seconds, found.status, 1)
