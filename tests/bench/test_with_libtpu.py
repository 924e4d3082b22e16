"""The benchmark with the real compiler: interrupted, resumed, and replayed to the last digit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mallocgame import api
from mallocgame.bench.methods import Settings
from mallocgame.bench.rows_file import read_row

pytestmark = pytest.mark.libtpu

ROOT = Path(__file__).parents[2]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children hear interrupts: a shell starts background jobs with interrupts ignored, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupt_resume_and_replay(tmp_path: Path) -> None:
    captures, out = tmp_path / "captures", tmp_path / "out"
    command = [sys.executable, "-m", "mallocgame", "bench", "--workloads", "tiny", "--targets", "v5e"]
    command += ["--compiles", "1", "--time-limit", "1", "--captures", str(captures), "--out", str(out)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.rstrip().endswith(": msa off"):
                break
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(timeout=30) == 130
    assert "partial" in (out / "table.md").read_text().lower()
    before = (out / "rows.jsonl").read_bytes()
    assert before.count(b"\n") == 1

    outcome = api.bench(["tiny"], ["v5e"], settings=Settings(time_limit=1.0, compiles=1), captures=captures, out=out)
    assert (outcome.complete, outcome.made) == (True, 3)
    assert (out / "rows.jsonl").read_bytes().startswith(before)
    assert [row.method for row in outcome.rows] == ["xla default", "msa off", "local", "flag tuning"]
    assert [row.failure for row in outcome.rows] == [None] * 4
    for number in range(1, 5):
        compared = api.replay(f"{out / 'rows.jsonl'}:{number}", captures=captures)
        assert compared.row == read_row(f"{out / 'rows.jsonl'}:{number}")
        assert compared.differences == ()
