"""Fixtures: a saved module, and a compiler whose times are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame.optimizer import search
from tests.optimizer.fake_search import MODULE
from tests.optimizer.improve.fake import Fake


@pytest.fixture
def module(tmp_path: Path) -> Path:
    file = tmp_path / "step.mlir"
    file.write_text(MODULE)
    return file


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Saves 40,000 of 150,000 cycles at 49152 KiB and 20,000 more with a plan; XLA's default is its first compile."""
    compiler = Fake()
    monkeypatch.setattr(search, "compile_in_child", compiler)
    return compiler
