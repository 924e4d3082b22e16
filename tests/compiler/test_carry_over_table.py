"""The table of `benchmarks.compiler.carry_over`, from rows whose gains are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compiler.carry_over import main

Found = dict[str, Any]


def found(e: float, m: float, groups: int | None = None) -> Found:
    """An answer of so many seconds, where XLA's default takes 8 under both models."""
    programs = [{"e": 8.0, "m": 8.0, "about": "XLA's default"}, {"e": e, "m": m, "about": "plan 1"}]
    programs[1] |= {"sites": None if groups is None else 40, "honoured": 39}
    return {"programs": programs, "answer": 1, "carried_over": {"found": groups, "groups": groups}}


def row(program: str, old: Found, carried: Found, fresh: Found) -> dict[str, Any]:
    versions = {"target": "v6e", "old_libtpu": "0.0.50.1", "new_libtpu": "0.0.52"}
    return {"program": program, **versions, "old": old, "carried": carried, "fresh": fresh}


@pytest.mark.parametrize(("kept", "code"), [(4.0, 0), (7.0, 1)])
def test_kept_is_the_new_gain_over_the_old(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: float, code: int
) -> None:
    """Old: a quarter of E. Kept of ln 4 is ln 2, and ln 8/7 the other time."""
    rows = [
        row("a", found(2.0, 8.0), found(kept, 8.0, groups=3), found(8.0, 8.0)),
        row("b", found(8.0, 8.0), found(8.0, 8.0), found(8.0, 8.0)),
    ]
    (tmp_path / "programs.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    assert main(["--show", "--out", str(tmp_path), "--work", str(tmp_path / "work")]) == code
    out = capsys.readouterr().out
    assert out == (tmp_path / "table.md").read_text()
    share = {4.0: "50%", 7.0: "10%"}[kept]
    ratio = {4.0: "2.000", 7.0: "1.143"}[kept]
    assert f"| plan 1 | 4.000, 1.000 | {ratio}, 1.000 | 1.000, 1.000 | 3/3 | 39/40 | {share} |" in out
    assert "| plan 1 | 1.000, 1.000 | 1.000, 1.000 | 1.000, 1.000 | - | - | - |" in out
    assert "one compile from none: kept in the median E 0.0% of 1, E times M 0.0% of 1." in out
