"""What does a person see while `solve --solver auto` works?

    python -m benchmarks.robustness.progress CAPTURE --out FOLDER [--picture FILE.svg] [--compiles 3] [--time-limit 6]

The same search twice, on a terminal and in a pipe, each with a cache of its own. FOLDER has ``terminal.txt``, each line
that the terminal showed, once, without control codes and with what changes while one watches as it was last; and
``pipe.txt``, stderr and stdout as they are. ``--picture`` draws the terminal in the middle of its last compile.

Counted are the lines of each and how often the line that lives was drawn. Exit code 1 if the terminal's answer is
another than the pipe's.
"""

from __future__ import annotations

import argparse
import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from mallocgame.system.files import write_atomically

WIDTH = 130
_CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
_LIVES = re.compile(r"\[(\d+:)+\d\d\] ((\d+:)+\d\d )?")
_SPENT = re.compile(r"[\d.]+ s\b|[\d.]+ compiles, [\d.]+ s")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--compiles", type=int, default=3)
    parser.add_argument("--time-limit", type=float, default=6.0)
    given = parser.parse_args(arguments)
    command = [sys.executable, "-m", "mallocgame", "solve", str(given.capture), "--solver", "auto"]
    command += ["--compiles", str(given.compiles), "--time-limit", str(given.time_limit), "--cache"]
    with tempfile.TemporaryDirectory() as folder:
        drawn = _on_terminal([*command, f"{folder}/terminal"])
        piped = subprocess.run([*command, f"{folder}/pipe"], capture_output=True, text=True, check=True)
    frames = [line for line in re.split(r"\r\n|\r|\n", _CODES.sub("", drawn)) if line.strip()]
    shown = [line for line, after in zip(frames, [*frames[1:], ""], strict=True) if _stage(line) != _stage(after)]
    given.out.mkdir(parents=True, exist_ok=True)
    write_atomically(given.out / "terminal.txt", "".join(f"{line}\n" for line in shown).encode())
    write_atomically(given.out / "pipe.txt", (piped.stderr + piped.stdout).encode())
    if given.picture is not None:
        _draw([line for line in shown if "compile" in line or not _LIVES.match(line)], given.picture)
    lives = sum(bool(_LIVES.match(line)) for line in frames)
    print(f"terminal: {len(shown)} lines shown, one of them lives and was drawn {lives} times")
    print(f"pipe: {len(piped.stderr.splitlines())} lines of progress, {len(piped.stdout.splitlines())} of answer")
    same = _answer(shown) == _answer(piped.stdout.splitlines())
    print(f"answers: {'the same' if same else 'not the same'}")
    return int(not same)


def _on_terminal(command: Sequence[str]) -> str:
    """What a terminal is told."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    with subprocess.Popen(command, stdout=follower, stderr=follower, env=environment) as child:
        os.close(follower)
        shown = io.BytesIO()
        while True:
            try:
                data = os.read(leader, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            shown.write(data)
    os.close(leader)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {child.returncode}")
    return shown.getvalue().decode()


def _stage(line: str) -> str:
    """A line without the times that it begins with."""
    return _LIVES.sub("", line)


def _answer(lines: Sequence[str]) -> list[str]:
    """The line of the answer, without seconds."""
    return [_SPENT.sub("", line) for line in lines if line.startswith("answer: ")]


def _draw(lines: Sequence[str], picture: Path) -> None:
    """The terminal while the last compile runs: what has happened, and the line that lives."""
    live = [line for line in lines if _LIVES.match(line)][-1]
    before = next(number for number, line in enumerate(lines) if _stage(line) == _stage(live))
    screen = [*(line for line in lines[:before] if not _LIVES.match(line)), live]
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ mallocgame solve heat.mgz --solver auto", style="bold"))
    for line in screen:
        console.print(Text(line), soft_wrap=False, no_wrap=True, overflow="ellipsis")
    write_atomically(picture, console.export_svg(title="mallocgame").encode())


if __name__ == "__main__":
    sys.exit(main())
