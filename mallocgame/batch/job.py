"""One program of a batch: ``mallocgame solve`` in a process of its own, whatever happens to it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import BinaryIO

from mallocgame.system.processes import end_group, python_path, start_group

POLL_SECONDS = 0.05
TIMED_OUT = -1000
"""The exit code of a job that was ended because it took too long; those of signals are from -1 to -64."""

MAX_OUTPUT_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Job:
    """What to do.

    Attributes:
        name: of the program, unique in its batch.
        key: of the program's content and all options that decide the answer.
        tokens: of the command, without ``mallocgame``.
        limit: seconds after which it is ended.
    """

    name: str
    key: str
    tokens: tuple[str, ...]
    limit: float


@dataclass(frozen=True, slots=True)
class Ended:
    """What a job left.

    Attributes:
        job: that was run.
        code: its exit code; minus a signal's number; or ``TIMED_OUT``.
        output: its standard output.
        errors: its standard error.
        seconds: that it took.
    """

    job: Job
    code: int
    output: str
    errors: str
    seconds: float


class Running:
    """A job's process, and where its output goes."""

    def __init__(self, job: Job, output: BinaryIO, errors: BinaryIO) -> None:
        self.job = job
        self._output, self._errors = output, errors
        self._started = monotonic()
        command = [sys.executable, "-m", "mallocgame.cli.child", str(os.getpid()), *job.tokens]
        self._process = start_group(
            command,
            env={**os.environ, "PYTHONPATH": python_path([os.environ.get("PYTHONPATH", "")])},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )

    def ended(self) -> Ended | None:
        """What it left, or None while it runs; it is ended at its limit."""
        code, seconds = self._process.poll(), monotonic() - self._started
        if code is None and seconds <= self.job.limit:
            return None
        end_group(self._process)
        texts = [_text(file) for file in (self._output, self._errors)]
        return Ended(self.job, TIMED_OUT if code is None else code, texts[0], texts[1], seconds)

    def end(self) -> None:
        """End it, unless it has ended."""
        end_group(self._process)


@contextmanager
def start(job: Job) -> Iterator[Running]:
    """A job's process; it has ended when the block is left."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        running = Running(job, output, errors)
        try:
            yield running
        finally:
            running.end()


def run_job(job: Job) -> Ended:
    """Run a job to its end."""
    with start(job) as running:
        while (ended := running.ended()) is None:
            sleep(POLL_SECONDS)
        return ended


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(MAX_OUTPUT_BYTES).decode("utf-8", "replace")
