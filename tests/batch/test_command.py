"""``mallocgame solve`` on several programs, for real."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mallocgame.plan.plan_file import load_plan
from tests.cli.conftest import run as run
from tests.cli.support import PROGRAM, Outcome

Run = Callable[..., Outcome]
HEAT = Path(__file__).parents[2] / "workloads" / "problems" / "heat-v4.mgp"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "small.hlo").write_text(PROGRAM)
    (programs / "damaged.hlo").write_text(PROGRAM[:300])
    shutil.copy(HEAT, programs)
    return programs


def test_a_folder(run: Run, folder: Path, tmp_path: Path) -> None:
    """What is not predicted better than XLA's own placement is an answer without a plan."""
    command = ("solve", folder, "--target", "v4", "--time-limit", "20", "--out", tmp_path / "plans")
    outcome = run(*command, "--json")
    assert outcome.code == 3
    assert outcome.err.splitlines()[-1] == "mallocgame: error: 1 of 3 programs have no answer"
    document = json.loads(outcome.out)
    assert (document["programs"], document["answers"], document["failed"], document["made"]) == (3, 2, 1, 3)
    rows = {row["name"]: row for row in document["rows"]}
    assert list(rows) == ["damaged.hlo", "heat-v4.mgp", "small.hlo"]
    assert rows["damaged.hlo"]["code"] == 2
    assert rows["damaged.hlo"]["error"].startswith(f"{folder / 'damaged.hlo'}:")
    assert load_plan(rows["heat-v4.mgp"]["out"]).module == rows["heat-v4.mgp"]["answer"]["module"] == "jit_simulate"
    assert (rows["small.hlo"]["out"], rows["small.hlo"]["answer"]["target"]) == (None, "v4")

    again = run(*command)
    assert again.code == 3
    assert "started" not in again.err
    assert "no answer: damaged.hlo" in again.out
    assert "converged, not confirmed, nothing better" in again.out
    assert "3 programs: 2 answers, 1 without one; 0 done now" in again.out


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (("FOLDER",), "add --out FOLDER"),
        (("FOLDER/*.mgz", "--out", "OUT"), "matches no file"),
        (("FOLDER", "--out", "OUT", "--target", "v9000"), "v9000"),
        (("FOLDER", "--out", "OUT", "--solver", "oracle"), "oracle"),
        (("FOLDER", "--out", "OUT", "--time-limit=0"), "time limit"),
        (("FOLDER", "--out", "OUT", "--processes=0"), "at least 1"),
        (("FOLDER", "--out", "OUT", "--engine=slurm"), "slurm"),
        (("FOLDER", "--out", "FOLDER/small.hlo"), "cannot be opened"),
    ],
)
def test_bad_arguments(run: Run, folder: Path, tmp_path: Path, tokens: tuple[str, ...], words: str) -> None:
    replaced = (token.replace("FOLDER/", f"{folder}/").replace("OUT", str(tmp_path / "out")) for token in tokens)
    outcome = run("solve", *(str(folder) if token == "FOLDER" else token for token in replaced))
    assert outcome.code == 2
    assert words in outcome.error
    assert not (tmp_path / "out").exists()
