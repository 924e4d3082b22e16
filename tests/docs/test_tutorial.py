"""The tutorial does what it says: its commands run one after the other in an empty folder, and print what it shows."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKER = doctest.OutputChecker()
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^(<!-- libtpu -->\n\n)?```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(libtpu: bool) -> list[tuple[str, str]]:
    """Language and text of the blocks that need the compiler, or of those that do not."""
    return [(found[2], found[3]) for found in BLOCK.finditer(TUTORIAL) if bool(found[1]) == libtpu]


def commands(text: str) -> list[tuple[list[str], str]]:
    """Each command of a console block, and what it is to print."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)[1:]
    return [(shlex.split(command), shown) for command, shown in zip(parts[::2], parts[1::2], strict=True)]


def run(arguments: list[str], folder: Path) -> str:
    """What a command prints on stdout; fails the test if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def follow(libtpu: bool, folder: Path) -> None:
    """Do all that these blocks say."""
    (folder / "workloads").symlink_to(ROOT / "workloads")
    for language, text in blocks(libtpu):
        if language == "python":
            run(["-c", text], folder)
            continue
        for command, shown in commands(text):
            assert command[0] == "mallocgame"
            printed = run(["-m", *command], folder).rstrip() + "\n"
            assert CHECKER.check_output(shown.rstrip() + "\n", printed, doctest.ELLIPSIS), f"{shown}\n---\n{printed}"


def test_blocks_are_found() -> None:
    assert [language for language, _ in blocks(False)] == ["console", "console", "console", "python", "console"]
    assert [len(commands(text)) for _, text in blocks(True)] == [2]
    assert BLOCK.sub("", TUTORIAL).count("```") == 0


def test_without_the_compiler(tmp_path: Path) -> None:
    follow(False, tmp_path)


@pytest.mark.libtpu
def test_with_the_compiler(tmp_path: Path) -> None:
    follow(True, tmp_path)
