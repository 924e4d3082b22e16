"""``mallocgame train``: what cannot be run ends in one line, before anything is compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from mallocgame.cli import main
from mallocgame.cli.commands import train as command
from muzero.precision import double_precision
from muzero.training.checkpoint import Checkpoint, write

ROOT = Path(__file__).parents[2]


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The last line on stderr of a command that fails for bad input."""
    with pytest.raises(SystemExit) as ended:
        main(["train", *arguments])
    assert ended.value.code == 2
    out, errors = capsys.readouterr()
    assert not out
    return errors.splitlines()[-1]


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, out = tmp_path / "c.toml", str(tmp_path / "out")
    assert failing(capsys, str(config), "--out", out).endswith("c.toml: cannot be read: No such file or directory")
    config.write_text("network = 'huge'\n")
    assert "unknown network 'huge'; known: tiny, small" in failing(capsys, str(config), "--out", out)
    config.write_text("[problems]\nsplits = []\ngenerated = 0\n")
    assert "no problem to train on" in failing(capsys, str(config), "--out", out)
    config.write_text("[problems]\nsplits = ['tests']\n")
    assert "unknown split 'tests'; known: train, validation, test" in failing(capsys, str(config), "--out", out)
    config.write_text("[problems]\nnames = ['gpt9']\nsplits = []\n")
    assert "unknown problem 'gpt9'" in failing(capsys, str(config), "--out", out)


def test_a_folder_with_checkpoints_is_not_begun_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, 1, Checkpoint({}, {}))
    (tmp_path / "c.toml").write_text("")
    error = failing(capsys, str(tmp_path / "c.toml"), "--out", str(tmp_path))
    assert error.endswith("has checkpoints: go on with --resume, or give another folder")


def test_what_was_done_is_told() -> None:
    document = {"command": "train", "folder": "out", "iterations": 3, "updates": 12, "positions": 70}
    assert command.lines(document) == ["out: 3 iterations, 12 updates", "replay       70 positions"]


def test_the_process_keeps_its_precision() -> None:
    before = jax.config.jax_enable_x64
    try:
        for own in (False, True):
            jax.config.update("jax_enable_x64", own)
            with double_precision():
                assert jax.numpy.zeros(1, "float64").dtype == "float64"
            assert jax.config.jax_enable_x64 is own
    finally:
        jax.config.update("jax_enable_x64", before)


def test_training_leaves_the_precision_of_a_fresh_process(tmp_path: Path) -> None:
    script = """
import jax
from mallocgame import api
from mallocgame.system.errors import BadInputError
try:
    api.train("missing.toml", out="out")
except BadInputError:
    print(jax.config.jax_enable_x64)
"""
    command = [sys.executable, "-c", script]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
