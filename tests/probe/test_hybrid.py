"""`solve --probe`: the measurement decides, and nothing is lost where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mallocgame import api
from mallocgame.compiler.capture_file import load_capture
from mallocgame.optimizer import by_measuring as hybrid
from mallocgame.plan.answer_file import load_answer
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.plan.options_file import ProgramOptions
from mallocgame.system.errors import BadInputError, NoAnswerError
from tests.bench.fake import STORED


@dataclass
class Measurement:
    """Stands for a probe."""

    best: int


def _auto(monkeypatch: pytest.MonkeyPatch, out: Path, answer: Measurement | Exception) -> tuple[Any, list[Any]]:
    """api.auto as on the capture's own chip, where measuring ends so; and what was measured."""
    asked = []

    def measure(programs: Any, **settings: Any) -> Any:
        asked.extend(programs)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(hybrid, "measure", measure)
    monkeypatch.setattr(hybrid, "capture_for_device", load_capture)
    return api.auto(STORED, time_limit=0.5, compiles=0, probe=True, out=out, cache=out.parent / "cache"), asked


def test_an_answer_that_is_surely_faster_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = _auto(monkeypatch, tmp_path / "plan.json", Measurement(best=1))
    assert [program.name for program in asked] == ["XLA's default", "the plan"]
    assert asked[0].options.items() <= asked[1].options.items()
    assert isinstance(found.answer, NamedPlan)
    assert load_answer(tmp_path / "plan.json") == found.answer


def test_else_the_answer_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = _auto(monkeypatch, tmp_path / "answer.json", Measurement(best=0))
    kept = load_answer(tmp_path / "answer.json")
    assert isinstance(kept, ProgramOptions)
    assert kept.kind == "xla default"
    assert kept.options == load_capture(STORED).options
    assert found.probed == Measurement(best=0)


def test_an_answer_that_cannot_be_measured_stays_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = _auto(monkeypatch, tmp_path / "plan.json", NoAnswerError("no room"))
    assert isinstance(found.answer, NamedPlan)
    assert found.probed is None
    assert found.notes[-1] == "the answer was not measured: no room"


def test_here_the_device_is_another(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    with pytest.raises(BadInputError, match=r"is for v4 lite \(TPU v4 lite\), but the device at hand is cpu"):
        api.auto(STORED, probe=True, out=tmp_path / "plan.json")
    assert not list(tmp_path.iterdir())
