"""Plans that nothing will compile: compared with XLA's own placement, and written only if they are predicted better."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import workloads.problems
from mallocgame import api
from mallocgame.optimizer.foresight import foresight_of
from mallocgame.plan.plan import Plan
from mallocgame.plan.verdict import NOTHING_BETTER
from mallocgame.programs.loading import load
from tests.cli.conftest import program, run
from tests.cli.support import Outcome

__all__ = ["program", "run"]
Run = Callable[..., Outcome]
RESNET = Path(__file__).parents[2] / "benchmarks" / "data" / "resnet50-v5e.hlo.gz"


@pytest.mark.parametrize("solver", [(), ("--solver", "auto")], ids=["default", "auto"])
def test_nothing_is_written_that_is_not_better(run: Run, program: Path, tmp_path: Path, solver: tuple[str]) -> None:
    """Four steps on 2 MiB each: XLA is expected to do all that a plan can, and to have a parameter there before."""
    out = tmp_path / "plan.json"
    command = ("solve", program, "--time-limit", "0.5", "--out", out, *solver)
    outcome = run(*command)
    assert outcome.code == 0
    assert NOTHING_BETTER in outcome.out.splitlines()
    document = json.loads(run(*command, "--json").out)
    assert (document["out"], document["confirmed"]) == (None, False)
    assert (document["compared"]["verdict"], document["compared"]["xla"]) == ("worse", "foreseen")
    assert document["compared"]["e_known_share"] == 0.0
    assert not out.exists()


def test_a_solver_that_is_named_gives_its_plan(run: Run, program: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    document = json.loads(run("solve", program, "--solver", "greedy", "--out", out, "--json").out)
    assert "compared" not in document
    assert out.exists()


def test_a_text_that_gains(tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    solved = api.solve(RESNET, time_limit=6.0, out=out)
    assert (solved.verdict, out.exists()) == ("better", True)
    assert solved.foresight is not None
    figures, default = solved.foresight.figures(solved.solution.plan), solved.foresight.default
    assert figures.e_seconds <= 1.001 * default.e_seconds
    assert figures.m_seconds <= 1.001 * default.m_seconds


def test_a_problem_file_has_what_xla_did() -> None:
    """Under its own placement E and M are the figures of the file, but for what copies in slices take."""
    path = workloads.problems.path("alexnet-v4lite")
    found = foresight_of(load(path))
    default = workloads.problems.load("alexnet-v4lite").default
    assert default.plan is not None
    assert (found.foreseen, found.default.e_seconds, found.default.m_seconds) == (
        False,
        default.e_seconds,
        default.m_seconds,
    )
    assert found.known == pytest.approx(1.0, abs=0.05)
    assert found.figures(default.plan).m_seconds == pytest.approx(default.m_seconds, rel=0.02)
    assert found.verdict(Plan(found.problem.fingerprint)) == "worse"
