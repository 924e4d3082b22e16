"""The plans that local search found at 83db586 are found again. Apart, for its native code may have to be compiled.

Since then prefetches start together where that costs nothing, so at fewer of the same times, and addresses differ.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame.compiler.capture_file import load_capture
from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan_file import load_plan
from mallocgame.solvers import solve
from mallocgame.solvers.annealing.sharing import SLACK

DATA = Path(__file__).with_name("data")


@pytest.mark.parametrize(("program", "name"), [("tiny", "plan-local.json"), ("tiny-scan", "plan-local-scan.json")])
def test_the_solver_finds_the_plan_again(program: str, name: str) -> None:
    """The same seed and as many steps give the same moves."""
    problem, named = load_capture(DATA / f"{program}.mgz").problem(), load_plan(DATA / name)
    evict = program == "tiny-scan"
    found = solve(problem, "local", seed=3, time_limit=3600.0, max_steps=3000, evict_products=evict)
    assert found.status == "step limit"
    kept = named.plan
    assert (found.plan.fast_definitions, found.plan.fast_uses) == (kept.fast_definitions, kept.fast_uses)
    copies, kept_copies = ({(one.tensor, one.kind, one.before) for one in plan.copies} for plan in (found.plan, kept))
    assert copies == kept_copies
    assert {copy.after for copy in found.plan.copies} <= {copy.after for copy in kept.copies}
    assert replay_plan(problem, found.plan, "M").total <= replay_plan(problem, kept, "M").total * (1 + SLACK)
