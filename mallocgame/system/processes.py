"""Child processes that end with their parent, and whole groups of them that are ended."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def limit_child(parent: int) -> None:
    """For a child of the process ``parent``: no core files, and death with it, however it dies (on Linux)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def python_path(others: Iterable[str]) -> str:
    """``PYTHONPATH`` for a child: where this package is, and then other places."""
    return os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, others)])


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a group, and the group; it is gone when this returns."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
