"""Durations as people write them."""

from __future__ import annotations

import pytest

from mallocgame.cli.durations import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("90s", 90.0), ("10m", 600.0), ("1h", 3600.0), ("1.5 h", 5400.0), ("0.5", 0.5)]
)
def test_seconds_of(text: str, seconds: float) -> None:
    assert seconds_of(text, "--compile-time") == seconds
