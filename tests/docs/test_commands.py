"""Tutorial and quickstarts do what they say: their commands run one after the other in an empty folder.

A block of a console is run, and has to print what it shows; a block with a title is a file; other blocks of Python are
run, too. A mark before a block says what else it needs: ``<!-- libtpu -->``, or ``<!-- not run: REASON -->``.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
CHECKER = doctest.OutputChecker()
PAGES = [ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "start").glob("*.md"))]
BLOCK = re.compile(
    r'^(?:<!-- (?P<mark>[^>]+) -->\n\n)?```(?P<language>\w+)(?: title="(?P<file>[\w.]+)")?\n(?P<text>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One block of a page.

    Attributes:
        mark: ``"libtpu"``, ``"not run: REASON"`` or nothing.
        language: of the text.
        file: that the text is; None for what is run.
        text: of the block.
    """

    mark: str
    language: str
    file: str | None
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found["mark"] or "", found["language"], found["file"], found["text"]) for found in BLOCK.finditer(text)
    ]


def commands(text: str) -> list[tuple[list[str], str]]:
    """Each command of a console block, and what it is to print."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)[1:]
    return [(shlex.split(command), shown) for command, shown in zip(parts[::2], parts[1::2], strict=True)]


def run(arguments: list[str], folder: Path) -> str:
    """What a command prints on stdout; fails the test if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def follow(page: Path, mark: str, folder: Path) -> int:
    """Do all that the blocks with this mark say; how many commands that were."""
    (folder / "workloads").symlink_to(ROOT / "workloads")
    done = 0
    for block in blocks(page):
        if block.file is not None:
            (folder / block.file).write_text(block.text)
        elif block.mark == mark and block.language == "python":
            run(["-c", block.text], folder)
            done += 1
        elif block.mark == mark:
            for (program, *arguments), shown in commands(block.text):
                call = {"mallocgame": ["-m", "mallocgame"], "python": []}[program]
                printed = run([*call, *arguments], folder).rstrip() + "\n"
                assert CHECKER.check_output(shown.rstrip() + "\n", printed, doctest.ELLIPSIS), f"{shown}---\n{printed}"
                done += 1
    return done


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    found = blocks(page)
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(found)
    assert all(block.file or block.language in ("console", "python") for block in found)
    assert all(block.mark in ("", "libtpu") or block.mark.startswith("not run: ") for block in found)
    assert any(not block.mark.startswith("not run: ") and not block.file for block in found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_without_the_compiler(page: Path, tmp_path: Path) -> None:
    assert follow(page, "", tmp_path) == sum(
        len(commands(block.text)) if block.language == "console" else 1
        for block in blocks(page)
        if not block.mark and not block.file
    )


@pytest.mark.libtpu
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if "<!-- libtpu -->" in page.read_text(encoding="utf-8")],
    ids=lambda page: page.stem,
)
def test_with_the_compiler(page: Path, tmp_path: Path) -> None:
    assert follow(page, "libtpu", tmp_path) > 0
