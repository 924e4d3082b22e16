"""Child processes that end with their parent, and whole groups of them that are ended."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

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


def start_group(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """A process that leads a group of its own, to be ended by ``end_group``.

    An interrupt (Ctrl-C) that comes while it starts is raised when the process is known, and has been ended.

    Args:
        command: what to run.
        options: of ``subprocess.Popen``.
    """
    process: subprocess.Popen[bytes] | None = None
    try:
        with _interrupt_later():
            process = subprocess.Popen(command, start_new_session=True, **options)
    except BaseException:
        if process is not None:
            end_group(process)
        raise
    return process


@contextmanager
def _interrupt_later() -> Iterator[None]:
    """An interrupt within the block is handled where the block ends; only a main thread handles any."""
    handle = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handle):
        yield
        return
    held: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda _, frame: held.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handle)
    if held:
        handle(signal.SIGINT, held[0])


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a group, and the group; it is gone when this returns."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
