"""The processes that solvers run in, one a solver, while this one runs; one that overruns its time is ended."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import Any

from mallocgame.system.errors import BadInputError
from mallocgame.system.processes import start_group

PATIENCE = 5.0
"""Seconds beyond its time limit after which a solver is ended."""


def ask(solver: str, needed: str, request: dict[str, Any], time_limit: float) -> dict[str, Any] | None:
    """The answer of a solver of ``solver_child``, or None where its process had to be ended.

    Args:
        solver: its name.
        needed: what to say where it is not installed.
        request: to be sent.
        time_limit: that it was told, in seconds.

    Raises:
        BadInputError: the solver is not installed.
    """
    if solver not in _running:
        _running[solver] = _Child(solver, needed)
    return _running[solver].ask(request, max(0.0, time_limit) + PATIENCE)


class _Child:
    """One process, and what it is asked."""

    def __init__(self, solver: str, needed: str) -> None:
        self.solver = solver
        command = [sys.executable, "-P", str(Path(__file__).with_name("solver_child.py")), solver]
        self.process = start_group(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self._read() is None:
            self.end()
            raise BadInputError(needed)

    def ask(self, request: dict[str, Any], time_limit: float) -> dict[str, Any] | None:
        """The answer, or None where the process had to be ended."""
        watch = Timer(time_limit, self.process.kill)
        watch.start()
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
            answer: dict[str, Any] | None = self._read()
        except BrokenPipeError:
            answer = None
        except KeyboardInterrupt:
            self.end()
            raise
        finally:
            watch.cancel()
        if answer is None:
            self.end()
        return answer

    def end(self) -> None:
        """End the process."""
        _running.pop(self.solver, None)
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None


_running: dict[str, _Child] = {}


@atexit.register
def end_solvers() -> None:
    """End the processes."""
    for child in list(_running.values()):
        child.end()
