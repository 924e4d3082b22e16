"""``report`` and ``explain`` as commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mallocgame.plan.plan_file import load_plan
from tests.bench.fake import STORED
from tests.cli.support import Outcome

PROBLEMS = Path(__file__).parents[2] / "workloads" / "problems"

Run = Callable[..., Outcome]


@pytest.fixture
def plan(run: Run, tmp_path: Path) -> Path:
    out = tmp_path / "plan.json"
    assert run("solve", STORED, "--solver", "greedy", "--out", out).code == 0
    return out


@pytest.mark.parametrize(
    ("format", "suffix", "begin"),
    [("html", ".html", b"<!doctype html>"), ("png", ".png", b"\x89PNG"), ("svg", ".svg", b"<?xml"),
     ("trace", ".trace.json", b'{"traceEvents"')],
)  # fmt: skip
def test_formats(run: Run, plan: Path, format: str, suffix: str, begin: bytes) -> None:
    if format in ("png", "svg"):
        pytest.importorskip("matplotlib")
    document = json.loads(run("report", plan, "--format", format, "--json").out)
    out = plan.with_suffix(suffix)
    assert document["out"] == str(out)
    assert document["bytes"] == out.stat().st_size
    assert out.read_bytes().startswith(begin)
    assert document["confirmed"] is False
    assert document["file"] == str(STORED)


def test_the_text(run: Run, plan: Path, tmp_path: Path) -> None:
    lines = run("report", plan, STORED, "--out", tmp_path / "page.html").out.splitlines()
    assert "the plan against XLA's default, predicted: the compiler has not confirmed it" in lines[0]
    assert lines[1].startswith("figures      E ")
    assert lines[2].startswith(f"written      {tmp_path / 'page.html'} (html, ")
    text = run("explain", plan).out
    assert "What it is worth" in text
    assert "What is left, and what bounds it" in text
    assert json.loads(run("explain", plan, "--json").out)["command"] == "explain"


def test_the_file_is_found_beside_the_plan(run: Run, plan: Path, tmp_path: Path) -> None:
    assert load_plan(plan).options["file"] == str(STORED)
    moved = plan.read_text().replace(json.dumps(str(STORED)), '"gone/tiny-v4lite.mgz"')
    plan.write_text(moved)
    error = run("explain", plan).error
    assert error == f"{plan}: was solved from gone/tiny-v4lite.mgz, which is not here: give it as the second argument"
    (tmp_path / "tiny-v4lite.mgz").write_bytes(STORED.read_bytes())
    assert run("explain", plan).code == 0


def test_bad_input(run: Run, plan: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    document = json.loads(plan.read_text())
    del document["options"]["file"]
    other.write_text(json.dumps(document))
    assert run("report", other).error == (
        f"{other}: does not say which file it was solved from: give it as the second argument"
    )
    other.write_text(json.dumps({**document, "fingerprint": "0" * 32}))
    assert "is for another program" in run("report", other, STORED).error.replace("the plan ", "")
    options = {
        "format": "mallocgame-options", "version": 1, "kind": "msa off", "about": "MSA switched off", "module": "m",
        "target": "v4 lite", "fingerprint": "f", "versions": {}, "options": {"xla_msa_enable": "false"},
    }  # fmt: skip
    other.write_text(json.dumps(options))
    assert "has compiler options (MSA switched off), not a plan" in run("report", other, STORED).error
    assert "does not say which file it was solved from" in run("report", other).error
    missing = run("report", plan, tmp_path / "none.mgz")
    assert (missing.code, missing.error) == (2, f"{tmp_path / 'none.mgz'}: no such file or folder")
    assert "there is no folder" in run("report", plan, "--out", tmp_path / "no" / "page.html").error
    problem = PROBLEMS / "alexnet-v4lite.mgp"
    assert "is no capture (.mgz), so it cannot be compiled" in run("report", plan, problem, "--verify").error
    assert not list(tmp_path.glob("*.html"))
