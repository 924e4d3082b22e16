"""Fixtures: run a command in this process; a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.speed.chromium import Browser
from tests.cli.conftest import run
from tests.report.browsing import HEIGHT, WIDTH

__all__ = ["browser", "run"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of a file."""
    with Browser(WIDTH, HEIGHT) as started:
        yield started
