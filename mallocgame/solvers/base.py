"""What every solver takes and gives, and the list of solvers. A new solver is one more file in this package."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from mallocgame.game.program import Program
from mallocgame.game.timeline import Timeline
from mallocgame.plan.objective import Objective
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Stage

if TYPE_CHECKING:
    from mallocgame.models.cycles.table import CycleTable
    from mallocgame.plan.problem_file import Default
    from xla_dump_parser.hlo import HloModule


@dataclass(frozen=True)
class Task:
    """What a solver is asked.

    Attributes:
        problem: to be solved.
        final: the final HLO of XLA's default compile, where there is one.
        default: XLA's own placement, where it was read back before.
        seed: of all random choices.
        time_limit: seconds from the making of this task.
        max_steps: steps after which to stop whatever the time, or None. A run that stops for its steps gives the same
            plan every time; one that stops for its time does not.
        improved: called with (value, steps so far) at every new best plan: seconds under the objective, or for ``both``
            the sum of what each model takes of its ``default_seconds``.
        objective: the model to be quick under; under ``"both"`` each counts relative to ``default_seconds``.
        cycles: what E is predicted from; None for the cycles of XLA's default placement, whatever the placement.
        start: a plan to begin with, if the solver can.
        default_seconds: (E, M) of XLA's default, the unit of each; None for those of everything in HBM.
        barred: alias groups that have to be in HBM, e.g. for what the compiler did with them before.
        evict_products: whether what is made in fast memory may be evicted after its first uses, and the plan may have a
            reach, if the solver can: the compiler does that, no move of the game does.
    """

    problem: Problem
    final: HloModule | None
    default: Default | None
    seed: int
    time_limit: float
    max_steps: int | None
    improved: Callable[[float, int], None]
    objective: Objective = "M"
    cycles: CycleTable | None = None
    start: Plan | None = None
    default_seconds: tuple[float, float] | None = None
    barred: frozenset[int] = frozenset()
    evict_products: bool = False
    started: float = field(default_factory=monotonic)

    def stop_reason(self, steps: int) -> str | None:
        """Why to stop now, or None."""
        if self.max_steps is not None and steps >= self.max_steps:
            return "step limit"
        return "time limit" if monotonic() - self.started >= self.time_limit else None


@dataclass(frozen=True)
class Answer:
    """What a solver gives.

    Attributes:
        plan: valid for the problem.
        seconds: of the plan under model M.
        status: ``"feasible"`` (a constructive solver has finished), ``"converged"`` (a search has not got any further
            for long), ``"time limit"``, ``"step limit"`` or ``"interrupted"``; of the exact solver also ``"optimal"``.
        steps: moves tried.
    """

    plan: Plan
    seconds: float
    status: str
    steps: int


@dataclass(frozen=True)
class Solution:
    """A plan with how it was made.

    Attributes:
        plan: valid for the problem.
        solver: name of the solver.
        seed: as asked.
        max_steps: as asked.
        seconds_under_m: of the plan under model M.
        seconds_all_hbm: under model M with everything in HBM.
        status: see ``Answer``.
        steps: moves tried.
        seconds_spent: wall time of the solver.
    """

    plan: Plan
    solver: str
    seed: int
    max_steps: int | None
    seconds_under_m: float
    seconds_all_hbm: float
    status: str
    steps: int
    seconds_spent: float

    @property
    def share_saved(self) -> float:
        """Share of the all-HBM time that the plan saves under M."""
        return 1 - self.seconds_under_m / self.seconds_all_hbm if self.seconds_all_hbm else 0.0


Solver = Callable[[Task], Answer]

_SOLVERS: dict[str, Solver] = {}


def register(name: str) -> Callable[[Solver], Solver]:
    """Decorator: the function is the solver of this name."""

    def add(solver: Solver) -> Solver:
        _SOLVERS[name] = solver
        return solver

    return add


def names() -> tuple[str, ...]:
    """All solvers: what the modules of this package register; of a folder in it, its module ``solver``."""
    package = __package__ or "mallocgame.solvers"
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        importlib.import_module(f"{module.name}.solver" if module.ispkg else module.name)
    return tuple(sorted(_SOLVERS))


def all_hbm_seconds(problem: Problem) -> float:
    """Seconds under model M with everything in HBM."""
    return Timeline(Program(problem)).total


def solve(
    problem: Problem,
    solver: str = "local",
    time_limit: float = 30.0,
    seed: int = 0,
    final: HloModule | None = None,
    progress: Callable[[str], None] | None = None,
    max_steps: int | None = None,
    default: Default | None = None,
    *,
    objective: Objective = "M",
    cycles: CycleTable | None = None,
    start: Plan | None = None,
    default_seconds: tuple[float, float] | None = None,
    barred: frozenset[int] = frozenset(),
    evict_products: bool = False,
) -> Solution:
    """Find a plan.

    Args:
        problem: to be solved.
        solver: one of ``names()``.
        time_limit: seconds.
        seed: of all random choices.
        final: the final HLO of XLA's default compile; the solver ``xla`` needs it, or ``default``.
        progress: called with one line when a better plan is found, at most once a second.
        max_steps: see ``Task``.
        default: XLA's own placement of a problem file.
        objective, cycles, start, default_seconds, barred, evict_products: see ``Task``.

    Raises:
        BadInputError: unknown solver, or what it needs is missing.
    """
    if solver not in names():
        raise BadInputError(f"unknown solver {solver!r}; known: {', '.join(names())}")
    whole = all_hbm_seconds(problem)
    task = Task(
        problem,
        final,
        default,
        seed,
        time_limit,
        max_steps,
        _reporter(objective, whole, progress),
        objective,
        cycles,
        start,
        default_seconds,
        barred,
        evict_products,
    )
    answer = _SOLVERS[solver](task)
    return Solution(
        plan=answer.plan,
        solver=solver,
        seed=seed,
        max_steps=max_steps,
        seconds_under_m=answer.seconds,
        seconds_all_hbm=whole,
        status=answer.status,
        steps=answer.steps,
        seconds_spent=monotonic() - task.started,
    )


def _reporter(
    objective: Objective, whole: float, progress: Callable[[str], None] | None
) -> Callable[[float, int], None]:
    last = -inf

    def improved(value: float, steps: int) -> None:
        nonlocal last
        if progress is not None and monotonic() - last >= 1.0:
            last = monotonic()
            if objective == "both":
                beside = "nothing quicker than XLA's yet" if value >= 2 else f"XLA's time {50 * value - 100:+.1f} %"
                progress(Stage(f"step {steps}: {beside} (E and M in the mean)"))
            elif objective == "E":
                progress(Stage(f"step {steps}: {value * 1e3:.6g} ms under E"))
            else:
                share = 1 - value / whole if whole else 0.0
                progress(Stage(f"step {steps}: {value * 1e3:.6g} ms under M, {share:.2%} less than all in HBM"))

    return improved
