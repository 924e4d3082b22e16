"""The loop with the real compiler, on a small program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mallocgame import api

pytestmark = pytest.mark.libtpu


def test_a_small_program_is_improved_or_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "tiny.mgz"
    api.capture("tiny", target="v5e", workload=True, out=file)
    found = api.auto(file, time_limit=3.0, compiles=3, out=tmp_path / "answer.json", cache=tmp_path / "compiles")
    assert found.improved is not None
    improved = found.improved
    assert 1 <= improved.compiles <= 3
    assert improved.answer.row is not None
    assert improved.answer.row.e_seconds <= improved.default.e_seconds * 1.001
    assert improved.answer.row.m_seconds <= improved.default.m_seconds * 1.025
    assert [tried.kind for tried in improved.tried[:3]] == ["xla default", "split", "plan"]
    assert json.loads(api.export(tmp_path / "answer.json")) == dict(improved.answer.options)

    again = api.auto(file, time_limit=3.0, compiles=2, cache=tmp_path / "compiles")
    assert again.improved is not None
    assert [tried.row for tried in again.improved.tried[:3]] == [tried.row for tried in improved.tried[:3]]
