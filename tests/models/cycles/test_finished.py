"""A cache of compiles tells what each one was asked for, so that cycles are compared within one topology and split."""

from pathlib import Path

import pytest

from mallocgame.compiler.cache import CompileCache
from mallocgame.compiler.capture_file import load_capture
from mallocgame.compiler.child import Request
from mallocgame.system.errors import CompilerRefusedError
from tests.bench.fake import STORED, FakeCompiler, pretend_versions


def test_topology_and_split_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = load_capture(STORED)
    pretend_versions(monkeypatch, dict(tiny.versions))
    cache = CompileCache(tmp_path, FakeCompiler(tiny, wrong={3: CompilerRefusedError("no")}))
    cache(Request("v5e:1x1", lowered=tiny.lowered))
    cache(Request("v5p:2x2x1", lowered=tiny.lowered, options={"xla_tpu_scoped_vmem_limit_kib": "8192"}))
    with pytest.raises(CompilerRefusedError):
        cache(Request("v4:2x2x1", lowered=tiny.lowered))
    found = list(cache.finished())
    assert {one.asked for one in found} == {("v5e:1x1", None), ("v5p:2x2x1", "8192")}
    assert all(one.compiled.final == tiny.final for one in found)
