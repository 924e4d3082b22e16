"""Answers that carry their proof: everything works from the answer's file alone, and what is confirmed is shown so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mallocgame.plan.answer_file import load_answer
from tests.cli.support import Outcome

Run = Callable[..., Outcome]

pytestmark = pytest.mark.libtpu


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answers")


@pytest.fixture
def answered(folder: Path, run: Run) -> Callable[[str, str], Path]:
    """The answer of ``auto`` for a small program, found once."""

    def solved(workload: str, target: str) -> Path:
        file, out = folder / f"{workload}.mgz", folder / f"{workload}.json"
        if not out.exists():
            assert run("capture", "--workload", workload, "--target", target, "--out", file).code == 0
            budget = ("--compiles", "4", "--time-limit", "6", "--cache", folder / "compiles")
            assert run("solve", file, "--solver", "auto", *budget, "--out", out).code == 0
        return out

    return solved


@pytest.mark.parametrize(("workload", "target", "kind"), [("tiny", "v5e", "plan"), ("heat", "v5p", "split")])
def test_an_answer_is_whole(
    run: Run, answered: Callable[[str, str], Path], workload: str, target: str, kind: str
) -> None:
    """A plan at the default split, and another split, which is no plan: figures are those confirmed, to the digit."""
    answer = answered(workload, target)
    kept = load_answer(answer).confirmation
    assert kept is not None
    assert kept.verdict == "better"
    explained = json.loads(run("explain", answer, "--json").out)
    assert (explained["confirmed"], explained["verdict"]) == (True, "better")
    for model, seconds, default in (
        ("E", kept.answer.e_seconds, kept.default.e_seconds),
        ("M", kept.answer.m_seconds, kept.default.m_seconds),
    ):
        figures = explained["figures"][model]
        assert (figures["after"], figures["before"]) == (seconds, default)
    page = answer.with_suffix(".html")
    assert json.loads(run("report", answer, "--out", page, "--json").out)["confirmed"]
    assert page.exists()
    verified = json.loads(run("verify", answer, "--json").out)
    rows = {row["name"]: row for row in verified["rows"]}
    assert (verified["best"], rows[kind]["verdict"]) == (kind, "better")
    assert (rows[kind]["e"], rows[kind]["m"]) == (kept.answer.e_seconds, kept.answer.m_seconds)
    assert (rows["xla default"]["e"], rows["xla default"]["m"]) == (kept.default.e_seconds, kept.default.m_seconds)
    if kind == "plan":
        assert (verified["honoured"], verified["sites"]) == (kept.honoured, kept.sites)
    assert json.loads(run("export", answer).out)


def test_where_the_compiles_have_gone_that_is_said(
    run: Run, answered: Callable[[str, str], Path], tmp_path: Path
) -> None:
    answer, empty = answered("tiny", "v5e"), tmp_path / "empty"
    outcome = run("explain", answer, "--cache", empty)
    assert f"what the compiler made of it has gone from {empty}" in outcome.out
    assert "predicted, for what the compiler made of it when it was found has gone" in outcome.out
    assert "Confirmed against XLA's default:" in outcome.out
    assert "confirmed by libtpu" in run("explain", answer, "--cache", empty, "--verify").out
    options = answered("heat", "v5p")
    assert "no compile of them is at hand: use --verify" in run("explain", options, "--cache", tmp_path / "none").error


def test_an_answer_finds_its_program_beside_itself_or_says_that_it_has_gone(
    run: Run, answered: Callable[[str, str], Path], tmp_path: Path
) -> None:
    answer = answered("tiny", "v5e")
    moved = tmp_path / "moved.json"
    value = json.loads(answer.read_text())
    value["confirmation"] |= {"file": "/gone/tiny.mgz", "capture": "/gone/tiny.mgz"}
    moved.write_text(json.dumps(value))
    assert run("explain", moved).error == (
        f"{moved}: was solved from /gone/tiny.mgz, which is not here or has changed, and its capture /gone/tiny.mgz "
        "has gone: give the program as the second argument"
    )
    shutil.copy(answer.with_suffix(".mgz"), tmp_path / "tiny.mgz")
    assert "confirmed by libtpu" in run("explain", moved).out
