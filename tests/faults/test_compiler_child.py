"""A compiler that hangs, dies, eats memory or answers nonsense: a stand-in that needs no libtpu."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path
from time import monotonic, sleep

import pytest

from mallocgame.compiler import child
from mallocgame.compiler.child import Limits, Request, compile_in_child
from mallocgame.system.errors import BadInputError, CompilerRefusedError, MallocgameError, NoAnswerError

REQUEST = Request("v5e:1x1", lowered="module @m {}")


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell script in the place of the child; it finds its folder in ``$3``."""
    script = tmp_path / "python"
    monkeypatch.setattr(child.sys, "executable", str(script))
    monkeypatch.setattr(child.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return script


def _run(script: Path, commands: str, limits: Limits | None = None) -> str:
    """The error, which is one line; nothing of the compile is left."""
    script.write_text(f"#!/bin/sh\n{commands}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(MallocgameError) as caught:
        compile_in_child(REQUEST, limits)
    assert "\n" not in str(caught.value)
    assert [path.name for path in script.parent.iterdir() if path.name.startswith("mallocgame-")] == []
    assert isinstance(caught.value, NoAnswerError | CompilerRefusedError)
    return str(caught.value)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_hangs_and_so_does_what_it_started(compiler: Path) -> None:
    begun = monotonic()
    error = _run(compiler, f"sleep 71 & echo $! > {compiler.parent}/pid; sleep 72", Limits(seconds=0.3))
    assert "longer than 0.3 s" in error
    assert monotonic() - begun < 15
    pid = int((compiler.parent / "pid").read_text())
    while monotonic() - begun < 30 and _runs(pid):  # the kill is sent at once, and what it hits ends soon
        sleep(0.05)
    assert not _runs(pid)


def test_it_ignores_being_asked_to_end(compiler: Path) -> None:
    assert "longer" in _run(compiler, "trap '' TERM INT HUP; while true; do sleep 0.05; done", Limits(seconds=0.3))


@pytest.mark.parametrize("signal", ["KILL", "SEGV", "ABRT", "TERM", "BUS"])
def test_it_dies_by_a_signal(compiler: Path, signal: str) -> None:
    assert f"SIG{signal}" in _run(compiler, f"kill -{signal} $$")


def test_it_eats_memory(compiler: Path) -> None:
    """A shell that doubles a text until it has 16 MiB of it."""
    grow = 'x=0123456789abcdef; while [ ${#x} -lt 16777216 ]; do x="$x$x"; done; sleep 60'
    assert "of memory" in _run(compiler, grow, Limits(seconds=60, memory=12 * 2**20))


def test_its_limits_are_told_and_can_be_set(compiler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Limits() == Limits(900.0, 16 * 2**30)
    monkeypatch.setenv("MALLOCGAME_COMPILE_SECONDS", "0.25")
    monkeypatch.setenv("MALLOCGAME_COMPILE_GIB", "0.5")
    assert Limits() == Limits(0.25, 2**29)
    assert _run(compiler, "sleep 60").endswith("longer than 0.25 s; MALLOCGAME_COMPILE_SECONDS allows more")
    monkeypatch.setenv("MALLOCGAME_COMPILE_SECONDS", "0")
    with pytest.raises(BadInputError, match="MALLOCGAME_COMPILE_SECONDS has to be a positive number, not '0'"):
        Limits()


@pytest.mark.parametrize(
    "result", ["", "{", "[]", "\\377", '{"versions": 1}', '{"error": "jax"}', '{"error": 5, "message": []}']
)
def test_it_answers_nonsense(compiler: Path, result: str) -> None:
    _run(compiler, f"printf '%b' '{result}' > \"$3/result.json\"; exit 1")
    _run(compiler, f"printf '%b' '{result}' > \"$3/result.json\"")


def test_it_says_that_all_is_well_and_left_nothing(compiler: Path) -> None:
    assert "no after_codegen dump" in _run(compiler, "exit 0")


def test_nobody_may_write_where_it_works(compiler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(compiler.parent / "nowhere"))
    error = _run(compiler, "exit 0")
    assert "nowhere" in error
    assert "TMPDIR" in error
