"""Calibrating with the real compiler: a capture that knows more, and still the same program."""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame import api
from mallocgame.compiler.capture_file import load_capture
from mallocgame.models.replay.observe import observations_of
from mallocgame.optimizer.calibrate import interpolation_errors
from mallocgame.system.errors import BadInputError

pytestmark = pytest.mark.libtpu
LOOPED = "tests.compiler.models:looped"


def test_capture_calibrated_by_three_compiles(tmp_path: Path) -> None:
    path, told = tmp_path / "looped.mgz", list[str]()
    kept = api.capture(LOOPED, target="v5e", out=path, calibrate=3, progress=told.append)
    assert load_capture(path) == kept
    assert next(line for line in told if line.startswith("calibrating")) == "calibrating, compile 1 of 3"
    switched_off, *plans = observations_of(kept.observed, kept.problem())
    assert not any(switched_off.masks)
    assert plans
    assert all(any(seen.masks) for seen in plans)
    assert any(count for count in switched_off.cycles)
    table = kept.cycles()
    for seen in (switched_off, *plans):
        for time, (mask, count) in enumerate(zip(seen.masks, seen.cycles, strict=True)):
            if count is not None and not kept.problem().instructions[time].free:
                assert table.cycles(time, mask) == pytest.approx(count, rel=1e-3)
    assert all(abs(error) < 0.1 for error in interpolation_errors(kept))


def test_a_negative_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be -1"):
        api.capture(LOOPED, target="v5e", out=tmp_path / "looped.mgz", calibrate=-1)
