"""Processes of jobs: exit codes, signals, limits, and none that is left."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from mallocgame.batch import job as jobs
from mallocgame.batch.job import TIMED_OUT, Ended, Job, run_job
from mallocgame.batch.local_engine import run_local


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run their first token in a shell instead of as a command of mallocgame."""
    script = tmp_path / "python"
    script.write_text('#!/bin/sh\nshift 3\nexec sh -c "$1"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(jobs.sys, "executable", str(script))


def _job(name: str, *tokens: str, limit: float = 60.0) -> Job:
    return Job(name, "key", tokens, limit)


def test_a_real_command(tmp_path: Path) -> None:
    ended = run_job(_job("a", "inspect", str(tmp_path / "nowhere")))
    assert (ended.code, ended.output) == (2, "")
    assert ended.errors == f"mallocgame: error: {tmp_path / 'nowhere'}: no such file or folder\n"


@pytest.mark.usefixtures("shell")
@pytest.mark.parametrize(
    ("command", "code", "output"),
    [("echo yes", 0, "yes\n"), ("exit 7", 7, ""), ("kill -9 $$", -9, ""), ("printf '\\377'", 0, "\ufffd")],
)
def test_codes(command: str, code: int, output: str) -> None:
    ended = run_job(_job("a", command))
    assert (ended.code, ended.output) == (code, output)


@pytest.mark.usefixtures("shell")
def test_a_job_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    begun = monotonic()
    ended = run_job(_job("a", f"sleep 61 & echo $! > {tmp_path}/pid; sleep 62", limit=0.3))
    assert ended.code == TIMED_OUT
    assert monotonic() - begun < 10
    assert _ends(int((tmp_path / "pid").read_text()))


@pytest.mark.usefixtures("shell")
def test_some_at_a_time_and_one_that_dies_stops_no_other() -> None:
    commands = [_job(str(number), "kill -9 $$" if number == 1 else "sleep 0.2") for number in range(5)]
    running: set[str] = set()
    most = 0

    def started(job: Job) -> None:
        nonlocal most
        running.add(job.name)
        most = max(most, len(running))

    found: list[Ended] = []
    for ended in run_local(commands, 2, started):
        running.remove(ended.job.name)
        found.append(ended)
    assert most == 2
    assert sorted((ended.job.name, ended.code) for ended in found) == [
        ("0", 0),
        ("1", -9),
        ("2", 0),
        ("3", 0),
        ("4", 0),
    ]


@pytest.mark.usefixtures("shell")
def test_none_is_left_when_the_run_is_given_up(tmp_path: Path) -> None:
    hang = f"echo $$ > {tmp_path}/pid; sleep 60"
    ended = run_local(
        [_job("quick", f"while [ ! -s {tmp_path}/pid ]; do sleep 0.02; done"), _job("slow", hang)], 2, print
    )
    assert next(ended).job.name == "quick"
    ended.close()
    assert _ends(int((tmp_path / "pid").read_text()))


def _ends(pid: int) -> bool:
    """Whether a process is gone, or goes now: a kill is sent at once and carried out soon."""
    deadline = monotonic() + 5
    while _runs(pid):
        if monotonic() > deadline:
            return False
        sleep(0.01)
    return True


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="death with the parent is Linux's")
def test_a_child_of_somebody_else_ends_at_once() -> None:
    """Its parent died before it could say that it wants to end with it."""
    import subprocess

    command = [sys.executable, "-m", "mallocgame.cli.child", str(os.getpid() + 1), "--version"]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONPATH": root}, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
