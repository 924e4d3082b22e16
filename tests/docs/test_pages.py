"""The pages of the documentation: what they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAV = re.findall(r"^\s+- [^:\n]+: ([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
LINK = re.compile(r"\]\(([\w./-]+\.(?:md|png|svg))(?:#[\w-]+)?\)")


def test_the_pages_of_the_site_are_there() -> None:
    assert "tutorial.md" in NAV
    assert len(NAV) == len(set(NAV))
    assert [page for page in NAV if not (ROOT / "docs" / page).is_file()] == []


@pytest.mark.parametrize("name", NAV)
def test_each_page_begins_with_what_its_reader_can_do_then(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert re.match(r"(---\n.*?\n---\n\n)?# .+\n\nAfter this page ", text, re.DOTALL), name


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
        programs = [name.replace(".", "/") for name in re.findall(r"`benchmarks\.([\w.]+)`", row)]
        assert names or programs, row
        assert all((ROOT / "tests" / name).is_file() for name in names), row
        assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in programs), row


def test_every_benchmark_is_listed_under_its_question() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    listed = {
        (section.split(":")[0].strip(), name)
        for section in text.split("\n## ")[1:]
        for name in re.findall(r"^\| `([\w/.]+)` \|", section, re.MULTILINE)
    }
    paths = [path.relative_to(ROOT / "benchmarks").with_suffix("") for path in (ROOT / "benchmarks").glob("*/**/*.py")]
    modules = {(path.parts[0], ".".join(path.parts[1:]).removesuffix(".__init__")) for path in paths}
    assert listed == {(folder, name) for folder, name in modules if name != "__init__"}


def test_results_are_a_line_a_claim() -> None:
    lines = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 100
    rows = [line for line in lines if line.startswith("| ") and not line.startswith(("| question", "| ---"))]
    assert len(rows) > 50
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 5, row
        assert all(cells), row
