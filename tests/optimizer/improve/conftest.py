"""The fixtures of the command line's tests, and a capture that is at hand."""

from pathlib import Path

import pytest

from mallocgame.compiler.capture_file import save_capture
from mallocgame.optimizer import automatic
from tests.bench.scan import a_capture
from tests.cli.conftest import program, run

__all__ = ["captured", "program", "run"]


@pytest.fixture
def captured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file; the compiler of it is installed, as it seems."""
    file = tmp_path / "scan.mgz"
    save_capture(a_capture(), file)
    monkeypatch.setattr(automatic, "installed_versions", lambda: dict.fromkeys(("jax", "jaxlib", "libtpu"), "0.0.52"))
    return file
