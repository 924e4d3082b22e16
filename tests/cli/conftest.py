"""Fixtures: run a command in this process; a file with the small program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mallocgame.cli import main
from tests.cli.support import PROGRAM, Outcome


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a command in this process."""

    def call(*tokens: object) -> Outcome:
        with pytest.raises(SystemExit) as stopped:
            main([str(token) for token in tokens])
        streams = capsys.readouterr()
        return Outcome(int(stopped.value.code or 0), streams.out, streams.err)

    return call


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A file with the small program."""
    file = tmp_path / "small.txt"
    file.write_text(PROGRAM)
    return file
