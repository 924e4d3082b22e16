"""Help answers at once: no JAX, no numpy, nothing of ours that is heavy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from time import monotonic

import pytest

import mallocgame
from tests.cli.support import Outcome

HEAVY = ("jax", "jaxlib", "flax", "numpy", "matplotlib", "ortools")


@pytest.mark.parametrize("tokens", [["--help"], ["solve", "--help"], ["capture", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(tokens: list[str]) -> None:
    code = (
        "import sys\nfrom mallocgame.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        f"finally:\n    loaded = [name for name in {HEAVY} if name in sys.modules]\n    assert not loaded, loaded\n"
    )
    start = monotonic()
    done = subprocess.run([sys.executable, "-c", code, *tokens], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert monotonic() - start < 5  # about 0.3 s on an idle machine


def test_every_command_has_help(run: Callable[..., Outcome]) -> None:
    top = run("--help")
    commands = ("capture", "solve", "pack", "export", "verify", "inspect", "memory", "report", "explain", "probe")
    for command in (*commands, "fit", "train", "bench", "demo"):
        assert command in top.out
        assert "--json" in run(command, "--help").out


def test_version(run: Callable[..., Outcome]) -> None:
    assert run("--version").out.strip() == mallocgame.__version__


def test_module_runs() -> None:
    done = subprocess.run([sys.executable, "-m", "mallocgame", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == mallocgame.__version__
