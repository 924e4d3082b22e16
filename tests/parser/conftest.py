"""Small real dumps, made with libtpu 0.0.52 and 0.0.50.1 (v6e) and jaxlib 0.12.0.1 (CPU)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from xla_dump_parser import read_text

DATA = Path(__file__).parent / "data"


@pytest.fixture
def dump_text() -> Callable[[str], str]:
    """The text of ``data/NAME.txt.gz``."""
    return lambda name: read_text(DATA / f"{name}.txt.gz")
