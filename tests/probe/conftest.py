"""Fixtures: the measuring process on JAX's CPU device; a command in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mallocgame.probe.child import ProbeChild
from tests.cli.conftest import program, run

__all__ = ["child", "on_cpu", "program", "run"]


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever accelerator the machine has."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")


@pytest.fixture(scope="module")
def child() -> Iterator[ProbeChild]:
    """A measuring process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_PLATFORMS", "cpu")
        with ProbeChild() as started:
            yield started
