"""The compiler that the kept files were made with, whatever is installed now."""

from __future__ import annotations

from importlib import metadata

import pytest

VERSIONS = {"jax": "0.10.2", "jaxlib": "0.10.2", "libtpu": "0.0.52"}
"""Part of the keys of finished compiles and of answers."""


@pytest.fixture
def compiler_of_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if these versions were installed."""
    version = metadata.version

    def of_then(name: str) -> str:
        return VERSIONS.get(name) or version(name)

    monkeypatch.setattr(metadata, "version", of_then)
    for name in ("LIBTPU_INIT_ARGS", "TPU_LIBRARY_PATH", "XLA_FLAGS"):
        monkeypatch.delenv(name, raising=False)
