"""capture -> solve -> export -> verify from the command line, with the real compiler."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mallocgame.cli.answers import demonstrated
from tests.cli.support import Outcome

Run = Callable[..., Outcome]

pytestmark = pytest.mark.libtpu


@pytest.mark.parametrize(("workload", "target"), [("tiny", "v5e"), ("tiny-scan", "v4 lite")])
def test_whole_way(run: Run, tmp_path: Path, workload: str, target: str) -> None:
    file, plan = tmp_path / "program.mgz", tmp_path / "plan.json"
    captured = run("capture", "--workload", workload, "--target", target, "--out", file, "--json")
    assert captured.code == 0, captured.err
    versions = json.loads(captured.out)["versions"]
    assert {"jax", "libtpu", "python", "mallocgame"} <= versions.keys()

    solved = run("solve", file, "--time-limit", "2", "--out", plan, "--json")
    assert solved.code == 0, solved.err
    assert json.loads(solved.out)["costs"] == "log"
    assert "xla_tpu_msa_tensor_overrides" in run("export", plan, "--format", "libtpu-init-args").out

    verified = run("verify", plan, file, "--json")
    assert verified.code == 0, verified.err
    answer = json.loads(verified.out)
    assert answer["honoured"] == answer["sites"] > 0
    assert answer["misses"] == []
    rows = {row["name"]: row for row in answer["rows"]}
    assert {"xla default", "plan"} <= rows.keys()
    assert all(row["missing_costs"] == [] for row in rows.values())
    assert answer["best"] in rows

    other = run("solve", file, "--target", "v6e")
    assert other.code == 2
    assert target in other.error


def test_a_plan_for_another_program_is_refused(run: Run, tmp_path: Path, program: Path) -> None:
    file, plan = tmp_path / "program.mgz", tmp_path / "plan.json"
    assert run("capture", "--workload", "tiny", "--target", "v5e", "--out", file).code == 0
    assert run("solve", program, "--target", "v5e", "--solver", "local", "--time-limit", "1", "--out", plan).code == 0
    outcome = run("verify", plan, file)
    assert outcome.code == 2
    assert "another program" in outcome.error


def test_a_function_that_does_not_lower_is_bad_input(run: Run, tmp_path: Path) -> None:
    outcome = run("capture", "math:sqrt", "--target", "v5e", "--out", tmp_path / "out.mgz")
    assert outcome.code == 2
    assert outcome.error
    assert list(tmp_path.iterdir()) == []


def test_demo(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "new" / "out"
    command = ("demo", "--workload", "tiny-scan", "--targets", "v5e", "--time-limit", "1", "--compiles", "1")
    outcome = run(*command, "--out", out, "--json")
    assert outcome.code == 0, outcome.err
    answer = json.loads(outcome.out)
    (part,) = answer["targets"]
    assert part["target"] == "v5e"
    assert Path(part["picture"]).read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in out.iterdir()) == [
        "compiles",
        "tiny-scan-v5e.json",
        "tiny-scan-v5e.mgz",
        "tiny-scan-v5e.png",
    ]
    default, off, found = part["rows"]
    assert [row["name"] for row in part["rows"]] == ["XLA's default", "MSA off", "answer"]
    assert off["peak_fast"] == 0
    assert found["verdict"] in ("better", "equal")
    assert (found["e"], found["m"]) <= (default["e"] * 1.001, default["m"] * 1.001)
    explained = run("explain", out / "tiny-scan-v5e.json", "--json")
    assert explained.code == 0, explained.err
    lines = demonstrated.lines(answer)
    assert lines[0].startswith("tiny-scan: ")
    assert any(line.startswith("v5e: answer") for line in lines)
