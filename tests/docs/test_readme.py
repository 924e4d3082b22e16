"""README: short, its two commands as CI has them, its links, and commands that the program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mallocgame.cli.app import app
from mallocgame.cli.run import load_commands

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\((?!https?:|#)([\w./-]+)(?:#[\w-]+)?\)")


def said() -> list[str]:
    """Commands of README and all pages: those that stand in blocks, and those in tables of README and of commands."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    found = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        found += re.findall(r"^(?: {4}(?:\$ )?|\$ )(mallocgame [^|\n]+)", text, re.MULTILINE)
        if page.name in ("README.md", "commands.md"):
            found += re.findall(r"^\| .*?`(mallocgame [^`|]+)`", text, re.MULTILINE)
    return [re.split(r" +#| > | && ", command)[0] for command in found]


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150
    tables_and_output = re.compile(r"^(\||    |\s*$)")
    assert not [line for line in README.splitlines() if len(line) > 120 and not tables_and_output.match(line)]


def test_the_first_command_does_the_main_job_and_the_second_runs_the_tests() -> None:
    first, second = re.findall(r"^    (python3 -m venv .+)$", README, re.MULTILINE)
    assert first.endswith('pip install -q -e ".[tpu,report]" && .venv/bin/mallocgame demo')
    extras = re.findall(r'".(\[[\w,]+\])"', second)
    tests = second.rsplit(" && ", 1)[1]
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert tests in run
    assert f'--editable ".{extras[0]}"' in run


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    found = LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert found
    assert [link for link in found if not (ROOT / link).exists()] == []


def test_commands_are_taken() -> None:
    load_commands()
    found = said()
    assert len(found) > 60
    for command in found:
        app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)
