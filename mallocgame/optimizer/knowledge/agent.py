"""The trained agent plays each new schedule while the compiler works: a warm start for the search of plans.

It runs in a process of its own, on the CPU, and its time is the compiler's, not the search's: a compile keeps one core
busy. What it has not found by the time of a search does not wait. It knows model M alone, so its plan is where the
search for both models begins, if that search likes it better than its own beginning.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import save_capture
from mallocgame.plan.plan import Plan
from mallocgame.plan.plan_file import load_plan
from mallocgame.solvers.muzero import agent_path
from mallocgame.system.errors import BadInputError
from mallocgame.system.processes import end_group, python_path, start_group

NEEDED = ("jax", "flax", "mctx")

SHARE = 0.25
"""Of the loop's search time that the agent may play on a schedule, beside the compiler."""

LEAST_SECONDS = 5.0
"""Less is not worth what has to be compiled for it."""


class Playing:
    """A game that is being played."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path) -> None:
        self._process, self._out = process, out

    def plan(self) -> Plan | None:
        """The agent's plan; None where it has not ended, or has none."""
        if self._process.poll() != 0:
            return None
        try:
            return load_plan(self._out).plan
        except BadInputError:
            return None


def is_available() -> bool:
    """Whether there is an agent, and what it needs is installed."""
    return agent_path() is not None and all(find_spec(name) is not None for name in NEEDED)


@contextmanager
def playing(capture: Capture, seconds: float, seed: int) -> Iterator[Playing]:
    """The agent plays a capture's schedule; it is ended when the block is left.

    Args:
        capture: of XLA's default at one memory split.
        seconds: of playing; what JAX has to compile first comes on top.
        seed: of its choices.
    """
    with tempfile.TemporaryDirectory(prefix="mallocgame-agent-") as folder:
        file, out = Path(folder) / "program.mgz", Path(folder) / "plan.json"
        save_capture(capture, file)
        tokens = ("solve", str(file), "--solver", "muzero", f"--time-limit={seconds}", f"--seed={seed}")
        process = start_group(
            [sys.executable, "-m", "mallocgame.cli.child", str(os.getpid()), *tokens, "--out", str(out)],
            env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": python_path(sys.path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Playing(process, out)
        finally:
            end_group(process)
