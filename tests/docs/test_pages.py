"""The pages of the documentation: what they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAV = re.findall(r"^\s+- [^:\n]+: ([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
LINK = re.compile(r"\]\(([\w./-]+\.(?:md|png))(?:#[\w-]+)?\)")


def test_the_pages_of_the_site_are_there() -> None:
    assert "tutorial.md" in NAV
    assert len(NAV) == len(set(NAV))
    assert [page for page in NAV if not (ROOT / "docs" / page).is_file()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    found = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in found if not (page.parent / link).is_file()] == []


def test_each_fault_has_a_test_that_is_there() -> None:
    table = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 20
    for row in rows:
        names = re.findall(r"[\w/]+\.py", row)
        programs = re.findall(r"`benchmarks\.(\w+)`", row)
        assert names or programs, row
        assert all((ROOT / "tests" / name).is_file() for name in names), row
        assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in programs), row
