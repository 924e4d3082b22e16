"""A command that is killed takes with it what it started; what it had written stays whole, and the next one goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from benchmarks.robustness.faults import COMMANDS
from mallocgame.cli.app import app
from mallocgame.cli.run import load_commands
from mallocgame.system.processes import start_group
from tests.faults.sources import ROOT

HEAT = ROOT / "workloads" / "problems" / "heat-v4.mgp"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="death with the parent is Linux's")


def _wait(condition: object, seconds: float = 60.0) -> bool:
    """Whether a condition comes true in time."""
    begun = monotonic()
    while monotonic() - begun < seconds:
        if condition():  # type: ignore[operator]
            return True
        sleep(0.05)
    return False


def _with_argument(text: str) -> list[int]:
    """Processes with a text in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def test_every_command_has_its_faults() -> None:
    load_commands()
    faulted = {command.tokens[0] for command in COMMANDS.values() if "mallocgame" in command.start}
    assert {name for name in app if not name.startswith("-")} == faulted


def test_jobs_of_a_batch_that_is_killed(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"p{number}.mgp").write_bytes(HEAT.read_bytes())
    out = tmp_path / "plans"
    command = [sys.executable, "-m", "mallocgame", "solve", str(tmp_path), "--time-limit", "60", "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as batch:
        assert _wait(lambda: len(_with_argument(str(tmp_path))) == 3)
        batch.send_signal(signal.SIGKILL)
    assert _wait(lambda: not _with_argument(str(tmp_path)))
    assert (out / "results.jsonl").read_bytes() == b""

    command[command.index("60")] = "0.2"
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["answers"]) == (0, 2)


def test_a_compile_ends_with_its_parent(tmp_path: Path) -> None:
    """The child's entry point, whose parent is killed while it is at work."""
    script = (
        "import subprocess, sys, time\n"
        "code = 'import os, time; from mallocgame.system.processes import limit_child; '"
        "'limit_child(os.getppid()); print(flush=True); time.sleep(99)'\n"
        "child = subprocess.Popen([sys.executable, '-c', code + '  # ' + sys.argv[1]], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(flush=True)\n"
        "time.sleep(99)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    mark = str(tmp_path)
    with subprocess.Popen([sys.executable, "-c", script, mark], env=environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert len(_with_argument(mark)) == 2
        parent.send_signal(signal.SIGKILL)
    assert _wait(lambda: not _with_argument(mark), 10)


def test_an_interrupt_while_a_child_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the start of a process and the return of its constructor nobody else knows of it."""
    real = subprocess.Popen
    started: list[subprocess.Popen[bytes]] = []

    def interrupted(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(real(*arguments, **options))
        os.kill(os.getpid(), signal.SIGINT)
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            start_group([sys.executable, "-c", "import time; time.sleep(99)"])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert [process.returncode for process in started] == [-signal.SIGKILL]
