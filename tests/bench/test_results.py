"""The committed tables: every row can be read, and was made by the versions that the constraints file fixes."""

from __future__ import annotations

from pathlib import Path

from mallocgame.bench.rows import from_json
from mallocgame.bench.tables import markdown
from mallocgame.compiler.versions import COMPILERS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FILES = sorted((BENCHMARKS / "results").rglob("rows.jsonl"))


def constraints() -> dict[str, str]:
    """Version by package."""
    lines = (BENCHMARKS / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_constraints_fix_what_decides_a_program() -> None:
    assert list(constraints()) == ["jax", "jaxlib", "libtpu", "flax", "numpy"]


def test_rows_were_made_by_these_versions() -> None:
    fixed = constraints()
    for path in FILES:
        rows = [from_json(line, f"{path}:{number}") for number, line in enumerate(path.read_bytes().splitlines(), 1)]
        assert len({row.key for row in rows}) == len(rows)
        for row in rows:
            assert {name: row.versions[name] for name in COMPILERS} == {name: fixed[name] for name in COMPILERS}
        assert "partial" not in markdown(rows, complete=True).lower()
