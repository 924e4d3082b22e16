"""``mallocgame pack``: what it writes, prints and returns."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mallocgame.cli import main

EXAMPLE = "id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\nb3,0,9,4\nb4,9,21,4\nb5,0,21,4\n"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """MiniMalloc's example, which needs 12 bytes."""
    file = tmp_path / "input.csv"
    file.write_text(EXAMPLE)
    return file


def run(*tokens: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(token) for token in tokens])
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("capacity", [("--capacity", 12), ()])
def test_rows_with_offsets(example: Path, capacity: tuple[object, ...], capsys: pytest.CaptureFixture[str]) -> None:
    out = example.with_name("out.csv")
    assert run("pack", example, *capacity, "--out", out) == 0
    rows = [line.split(",") for line in out.read_text().splitlines()]
    assert rows[0] == ["id", "lower", "upper", "size", "offset"]
    assert [",".join(row[:4]) for row in rows] == EXAMPLE.splitlines()
    offsets = {row[0]: int(row[4]) for row in rows[1:]}
    assert {offsets["b1"], offsets["b3"], offsets["b5"]} == {0, 4, 8}
    assert {offsets["b2"], offsets["b3"], offsets["b5"]} == {0, 4, 8}
    assert offsets["b4"] != offsets["b5"]
    assert "5 buffers in 12 bytes" in capsys.readouterr().out


def test_infeasible_writes_nothing(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = example.with_name("out.csv")
    out.write_text("what was there before")
    assert run("pack", example, "--capacity", 11, "--out", out) == 3
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.splitlines()[-1].endswith("infeasible: proven that 11 bytes are not enough")
    assert out.read_text() == "what was there before"


def test_the_core_is_named(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """b3 and b5 are live all along with b1, and b2 after it: either one of these is the third."""
    assert run("pack", example, "--capacity", 11) == 3
    line = capsys.readouterr().err.splitlines()[-2]
    assert line == "in the way: b1, b3, b5: these 3 alone do not fit, without any one of them the others do"
    assert run("pack", example, "--capacity", 11, "--json") == 3
    assert json.loads(capsys.readouterr().out)["core"] == {"ids": ["b1", "b3", "b5"], "minimal": True}


def test_spill(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has 4 bytes. Without b3 there are never three at once; there is one at a time without b5, too."""
    cost = {"b1": 9, "b2": 9, "b3": 2, "b4": 1, "b5": 4}
    rows = EXAMPLE.splitlines()
    example.write_text("\n".join([f"{rows[0]},cost", *(f"{row},{cost[row[:2]]}" for row in rows[1:])]) + "\n")
    out = example.with_name("out.csv")
    assert run("pack", example, "--capacity", 8, "--spill", "--out", out) == 0
    printed = capsys.readouterr().out
    assert "4 of 5 buffers in 8 bytes\nspilled      b3\ncost         2, proven least" in printed
    offsets = {row.split(",")[0]: row.split(",")[5] for row in out.read_text().splitlines()[1:]}
    assert offsets["b3"] == ""
    assert {offsets["b1"], offsets["b5"]} == {offsets["b2"], offsets["b5"]} == {"0", "4"}
    assert run("pack", example, "--capacity", 4, "--spill", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["status"], document["spilled"], document["cost"]) == ("optimal", ["b3", "b5"], 6)
    assert document["cost_lower_bound"] == 6
    assert [document["offsets"][k] for k in (2, 4)] == [None, None]


def test_json(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pack", example, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["command"], document["status"], document["capacity"]) == ("pack", "optimal", 12)
    assert run("pack", example, "--capacity", 11, "--json") == 3
    document = json.loads(capsys.readouterr().out)
    assert (document["status"], document["offsets"], document["out"]) == ("infeasible", None, None)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (("nowhere.csv",), "nowhere.csv: cannot be read"),
        (("input.csv", "--capacity", "-1"), "capacity -1 is out of range"),
        (("input.csv", "--spill"), "--spill needs --capacity"),
        (("input.csv", "--time-limit", "0"), "the time limit has to be a positive number"),
        (("input.csv", "--out", "nowhere/out.csv"), "there is no folder"),
    ],
)
def test_bad_input(
    example: Path,
    tokens: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(example.parent)
    assert run("pack", *tokens) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert message in streams.err.splitlines()[-1]
    assert "Traceback" not in streams.err


def test_interrupted_search_keeps_the_best_packing(tmp_path: Path) -> None:
    """Whoever stops the search for the smallest capacity gets the smallest one so far, and the file."""
    rows = [(k, (37 * k) % 211, (37 * k) % 211 + 20 + k % 43, 1001 + (7919 * k) % 9973) for k in range(160)]
    file, out = tmp_path / "input.csv", tmp_path / "out.csv"
    file.write_text("id,lower,upper,size\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows))
    command = [sys.executable, "-m", "mallocgame", "pack", str(file), "--out", str(out), "--time-limit", "300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        while "found: " not in (line := child.stderr.readline()):
            assert line, "it ended before anything was found"
        child.send_signal(signal.SIGINT)
        stdout, _ = child.communicate(timeout=30)
    assert child.returncode == 0
    assert "status       time limit" in stdout
    assert len(out.read_text().splitlines()) == 161
