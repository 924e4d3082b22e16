"""A target that nobody asked for: what the file says, else the documented default; told first, and in the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mallocgame.programs.target_choice import ASKED, SAID, UNSAID
from tests.bench.fake import STORED
from tests.cli.support import Outcome

Run = Callable[..., Outcome]
FIRST = "target v5e: the file does not say one, --target NAME for another"


@pytest.mark.parametrize("command", [("solve", "--time-limit", "0.2"), ("inspect",)], ids=lambda command: command[0])
def test_a_text(run: Run, program: Path, command: tuple[str, ...]) -> None:
    name, *options = command
    outcome = run(name, program, *options)
    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == outcome.err.splitlines()[0] == FIRST
    document = json.loads(run(name, program, *options, "--json").out)
    assert (document["target"], document["target_why"]) == ("v5e", UNSAID)
    asked = run(name, program, *options, "--target", "v6e", "--json")
    assert (json.loads(asked.out)["target"], json.loads(asked.out)["target_why"]) == ("v6e", ASKED)
    assert "target" not in asked.err


def test_a_capture_says_its_own(run: Run) -> None:
    outcome = run("inspect", STORED)
    assert outcome.err.splitlines()[0] == f"target v4 lite: {SAID}"
    assert not outcome.out.startswith("target")
    assert json.loads(run("inspect", STORED, "--json").out)["target_why"] == SAID
