"""The plans that local search found at 83db586 are found again. Apart, for its native code may have to be compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame.compiler.capture_file import load_capture
from mallocgame.plan.plan_file import load_plan
from mallocgame.solvers import solve

DATA = Path(__file__).with_name("data")


@pytest.mark.parametrize(("program", "name"), [("tiny", "plan-local.json"), ("tiny-scan", "plan-local-scan.json")])
def test_the_solver_finds_the_plan_again(program: str, name: str) -> None:
    """The same seed and as many steps give the same moves."""
    problem, named = load_capture(DATA / f"{program}.mgz").problem(), load_plan(DATA / name)
    evict = program == "tiny-scan"
    found = solve(problem, "local", seed=3, time_limit=3600.0, max_steps=3000, evict_products=evict)
    assert found.status == "step limit"
    assert found.plan == named.plan
