"""Options of ``mallocgame solve`` as its jobs get them, and how long a job may take."""

from __future__ import annotations

from mallocgame.compiler.child import Limits
from mallocgame.plan.objective import Objective

PATIENCE = 600.0
"""Seconds beyond the search, for reading a large program, native code and the checks."""


def options_of(
    *,
    target: str | None,
    solver: str | None,
    time_limit: float,
    compiles: int,
    compile_time: float | None,
    objective: Objective | None,
    strict: bool,
    seed: int,
) -> tuple[str, ...]:
    """What decides the answer, as options of the command."""
    given = {"--target": target, "--objective": objective, "--solver": solver}
    always = {"--time-limit": str(time_limit), "--seed": str(seed)}
    compiled = solver in (None, "auto")
    budget = {"--compiles": str(compiles)} if compiled else {}
    if compiled and compile_time is not None:
        budget["--compile-time"] = f"{compile_time}s"
    pairs = {**{name: value for name, value in given.items() if value is not None}, **always, **budget}
    return (*(f"{name}={value}" for name, value in pairs.items()), *(("--strict",) if strict else ()))


def job_limit(time_limit: float, compiles: int) -> float:
    """Seconds after which a job hangs: its search four times, and as long as its compiles may take."""
    return PATIENCE + 4 * time_limit + compiles * Limits().seconds
