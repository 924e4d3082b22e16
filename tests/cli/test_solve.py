"""solve, inspect and export on texts: what they print, as text and as JSON."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mallocgame import api
from mallocgame.compiler.export.formats import WRITERS
from mallocgame.plan.plan_file import check_plan, load_plan
from mallocgame.plan.validate import validate
from tests.cli.support import Outcome

Run = Callable[..., Outcome]
RESNET = Path(__file__).parents[2] / "benchmarks" / "data" / "resnet50-v5e.hlo.gz"


def test_solve_on_text_says_that_nothing_is_confirmed(run: Run, program: Path) -> None:
    outcome = run("solve", program, "--target", "v5e", "--time-limit", "1")
    assert outcome.code == 0
    assert "all by formulas from the HLO alone" in outcome.out
    assert "not confirmed" in outcome.out


def test_json_is_one_document(run: Run, program: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    options = ("--target", "v5e", "--solver", "local", "--time-limit", "1", "--seed", "3", "--out", out, "--json")
    answer = json.loads(run("solve", program, *options).out)
    assert answer["command"] == "solve"
    assert (answer["target"], answer["seed"], answer["costs"], answer["confirmed"]) == ("v5e", 3, "analytic", False)
    assert answer["validated"] is True
    # x, w, v, add.1, multiply.1, subtract.1 and add.2, of which the first six are read 1 + 2 + 1 + 2 + 1 + 1 times.
    assert (answer["tensors"], answer["uses"]) == (7, 8)
    assert 0 < answer["m_plan"] < answer["m_all_hbm"]
    assert answer["m_saved_share"] == pytest.approx(1 - answer["m_plan"] / answer["m_all_hbm"])
    assert answer["out"] == str(out)
    assert load_plan(out).seed == 3


def test_the_plan_is_for_the_program_and_valid(program: Path, tmp_path: Path) -> None:
    solved = api.solve(program, target="v5e", solver="local", time_limit=1.0, out=tmp_path / "plan.json")
    named = load_plan(tmp_path / "plan.json")
    check_plan(named, solved.loaded.problem)
    assert named == solved.named
    assert validate(solved.loaded.problem, named.plan) == ()


def test_the_same_seed_gives_the_same_plan(program: Path) -> None:
    first, second = (api.solve(program, target="v5e", time_limit=5.0, seed=1) for _ in range(2))
    assert first.solution.plan == second.solution.plan


@pytest.mark.parametrize("name", ["plain", "gz"])
def test_inspect(run: Run, program: Path, name: str) -> None:
    file = program if name == "plain" else RESNET
    answer = json.loads(run("inspect", file, "--target", "v5e", "--json").out)
    assert answer["command"] == "inspect"
    assert (answer["loops"], answer["computations"]) == (0, 1)
    assert 0 < answer["m_bound"] <= answer["m_all_hbm"]
    assert len(answer["costliest"]) == min(10, len([row for row in answer["costliest"] if row["m_all_hbm"] > 0]))
    assert [row["m_all_hbm"] for row in answer["costliest"]] == sorted(
        (row["m_all_hbm"] for row in answer["costliest"]), reverse=True
    )
    assert "costliest" in run("inspect", file, "--target", "v5e").out


def test_inspect_by_hand(run: Run, program: Path) -> None:
    answer = json.loads(run("inspect", program, "--target", "v5e", "--json").out)
    assert answer["tensor_bytes"] == 7 * 2**21
    assert answer["largest_bytes"] == 2**21
    # Each of the four elementwise instructions reads two and writes one array of 2 MiB, at 7.3766e11 bytes/s.
    assert answer["m_all_hbm"] == pytest.approx(4 * 3 * 2**21 / 7.3766e11, rel=1e-3)


@pytest.mark.parametrize("format", WRITERS)
def test_export(run: Run, program: Path, tmp_path: Path, format: str) -> None:
    plan = tmp_path / "plan.json"
    run("solve", program, "--target", "v5e", "--solver", "local", "--time-limit", "1", "--out", plan)
    outcome = run("export", plan, "--format", format)
    assert outcome.code == 0
    assert "xla_tpu_msa_tensor_overrides" in outcome.out
    answer = json.loads(run("export", plan, "--format", format, "--json").out)
    assert answer["format"] == format
    assert answer["text"].strip() == outcome.out.strip()
    if format == "compiler-options":
        options = json.loads(outcome.out)
        assert all(isinstance(value, str) for value in options.values())
    if format == "python":
        compile(outcome.out, "exported", "exec")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a child")
def test_ctrl_c_gives_the_best_so_far() -> None:
    command = [sys.executable, "-m", "mallocgame", "solve", str(RESNET), "--target", "v5e", "--time-limit", "100"]
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert "solving" in child.stderr.readline()
        assert "step" in child.stderr.readline(), "native code is ready, and a plan is found"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    answer = json.loads(out)
    assert answer["status"] == "interrupted"
    assert answer["validated"] is True
