"""A file that is written is the old one or the whole new one, whatever happens at whatever step."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mallocgame.system import files
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import locked, write_atomically
from mallocgame.system.lines_file import open_lines
from tests.faults.sources import ROOT

STEPS = ("tempfile.mkstemp", "os.fdopen", "os.fsync", "os.chmod", "os.replace")
NEW = b"new" * 100_000

KILLED = """
import os, signal, sys, tempfile
from mallocgame.system.files import write_atomically
module, _, name = sys.argv[1].partition(".")
real, before = getattr(sys.modules[module], name), sys.argv[2] == "before"
def step(*args, **options):
    if not before:
        real(*args, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(sys.modules[module], name, step)
write_atomically(sys.argv[3], b"new" * 100_000)
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_each_step(tmp_path: Path, step: str, when: str) -> None:
    target = tmp_path / "plan.json"
    target.write_bytes(b"old")
    command = [sys.executable, "-c", KILLED, step, when, str(target)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == (NEW if (step, when) == ("os.replace", "after") else b"old")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("step", STEPS)
def test_an_error_of_the_system_at_each_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    target = tmp_path / "plan.json"
    target.write_bytes(b"old")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    module, _, name = step.partition(".")
    monkeypatch.setattr(getattr(files, module), name, fail)
    with pytest.raises(BadInputError, match=f"plan.json: cannot be written: {os.strerror(number)}"):
        write_atomically(target, NEW)
    monkeypatch.undo()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("plan.json", b"old")]


FULL = """
import resource, sys
from pathlib import Path
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import write_atomically
from mallocgame.system.lines_file import open_lines
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
target = Path(sys.argv[1])
for write in (lambda: write_atomically(target, b"new" * 1000), lambda: lines.append(b"x" * 900)):
    with open_lines(target.with_name("rows.jsonl")) as lines:
        lines.append(b"y" * 500)
        try:
            write()
        except BadInputError as error:
            print(error)
        lines.append(b"z")
"""


def test_a_file_may_grow_no_more(tmp_path: Path) -> None:
    """The system takes a part of what is written, as it does when a disk is nearly full, and refuses the rest."""
    target = tmp_path / "plan.json"
    target.write_bytes(b"old")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", FULL.replace("(1000, 1000)", "(1500, 1500)"), str(target)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{target}: cannot be written: {os.strerror(errno.EFBIG)}",
        f"{tmp_path / 'rows.jsonl'}: cannot be written: {os.strerror(errno.EFBIG)}",
    ]
    assert target.read_bytes() == b"old"
    whole = [b"y" * 500, b"z", b"y" * 500, b"z"]
    assert (tmp_path / "rows.jsonl").read_bytes() == b"".join(line + b"\n" for line in whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.json", "rows.jsonl"]


def test_two_that_append(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with open_lines(path), pytest.raises(BadInputError, match="another run appends to it"), open_lines(path):
        pass
    with open_lines(path) as again:
        again.append(b"x")
    assert path.read_bytes() == b"x\n"


def test_two_in_one_folder(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(BadInputError, match="another run writes here"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be opened"), locked(tmp_path / "none"):
        pass
