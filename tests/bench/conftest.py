"""A fake compiler, in an environment that has the versions its capture was made with."""

from __future__ import annotations

import pytest

from tests.bench.fake import FakeCompiler, pretend_versions, stored


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> FakeCompiler:
    known = stored()
    pretend_versions(monkeypatch, dict(known.versions))
    return FakeCompiler(known)
