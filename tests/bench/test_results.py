"""The committed tables: every row can be read, and was made by the versions that the constraints file fixes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame.bench.rows import from_json
from mallocgame.bench.tables import markdown
from mallocgame.compiler.cache import COMPILERS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FILES = sorted((BENCHMARKS / "results").rglob("rows.jsonl"))


def constraints() -> dict[str, str]:
    """Version by package."""
    lines = (BENCHMARKS / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {name: version for name, version in pairs}


def test_constraints_fix_what_decides_a_program() -> None:
    assert list(constraints()) == ["jax", "jaxlib", "libtpu", "flax", "numpy"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_rows_were_made_by_these_versions(path: Path) -> None:
    fixed = constraints()
    rows = [from_json(line, f"{path.name}:{number}") for number, line in enumerate(path.read_bytes().splitlines(), 1)]
    assert len({row.key for row in rows}) == len(rows)
    for row in rows:
        assert {name: row.versions[name] for name in COMPILERS} == {name: fixed[name] for name in COMPILERS}
    assert "partial" not in markdown(rows, complete=True).lower()
