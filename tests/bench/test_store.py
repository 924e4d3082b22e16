"""The folder of captures, and the folder of compiles."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame.bench.store import CaptureFailedError, CaptureStore, Made, OtherVersionsError, module_sha256
from mallocgame.compiler import cache
from mallocgame.compiler.cache import CompileCache
from mallocgame.compiler.child import QUIET_VMODULE, Request
from mallocgame.compiler.failures import OverrideRefusedError
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from tests.bench.fake import FakeCompiler, pretend_versions, put

REQUEST = Request("v4 lite:1x1", lowered="module {}", options={"xla_a": "1", "xla_b": "2"})


def test_a_capture_is_made_once(tmp_path: Path, compiler: FakeCompiler) -> None:
    store = CaptureStore(tmp_path / "new" / "captures", compile=compiler)
    assert store.state("tiny", "v4 lite") == "missing"
    made = store.get("tiny", "v4 lite")
    assert [path.name for path in store.folder.iterdir()] == ["tiny-v4lite.mgz"]
    assert store.get("tiny", "v4 lite") == made
    assert [request.function for request in compiler.asked] == ["workloads.tiny:tiny"]
    assert store.state("tiny", "v4 lite") == "captured"


def test_another_split_has_a_file_of_its_own(tmp_path: Path, compiler: FakeCompiler) -> None:
    store = CaptureStore(tmp_path, compile=compiler)
    assert store.get("tiny", "v4 lite", 32768).scoped_vmem_kib == 32768
    assert [path.name for path in tmp_path.iterdir()] == ["tiny-v4lite-32768.mgz"]
    assert compiler.asked[0].options == {"xla_tpu_scoped_vmem_limit_kib": "32768"}


def test_other_versions_are_refused_by_name(
    tmp_path: Path, compiler: FakeCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "tiny-v4lite.mgz")
    pretend_versions(monkeypatch, {**compiler.capture.versions, "libtpu": "0.0.99"})
    words = r"tiny-v4lite.mgz was made by .*libtpu 0.0.52, but here is .*libtpu 0.0.99: pip install .*libtpu==0.0.52"
    with pytest.raises(OtherVersionsError, match=words):
        CaptureStore(tmp_path, compile=compiler).get("tiny", "v4 lite")
    assert not compiler.asked


def test_a_failure_is_remembered_for_these_versions(
    tmp_path: Path, compiler: FakeCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler.wrong = {1: CompilerRefusedError("the compiler refused: too large")}
    store = CaptureStore(tmp_path, compile=compiler)
    for _ in range(2):
        with pytest.raises(CaptureFailedError, match="the compiler refused: too large"):
            store.get("tiny", "v4 lite")
    assert len(compiler.asked) == 1
    assert store.state("tiny", "v4 lite") == "failed"
    (record,) = tmp_path.iterdir()
    assert record.name == "tiny-v4lite.failed.json"
    assert json.loads(record.read_text())["versions"]["libtpu"] == "0.0.52"
    pretend_versions(monkeypatch, {**compiler.capture.versions, "libtpu": "0.0.99"})
    assert store.state("tiny", "v4 lite") == "missing"


@pytest.mark.parametrize(("workload", "target"), [("none", "v4 lite"), ("tiny", "v9")])
def test_unknown_names_are_no_failures(tmp_path: Path, compiler: FakeCompiler, workload: str, target: str) -> None:
    with pytest.raises(BadInputError, match="unknown"):
        CaptureStore(tmp_path, compile=compiler).get(workload, target)
    assert not list(tmp_path.iterdir())


def test_making_all_goes_on_after_a_failure(tmp_path: Path, compiler: FakeCompiler) -> None:
    put(tmp_path, "tiny-v4lite.mgz")
    compiler.wrong = {1: CompilerRefusedError("no")}
    store, said = CaptureStore(tmp_path, compile=compiler), []
    made = list(store.make_all(["tiny", "tiny-scan"], ["v4 lite", "v5e"], said.append))
    assert made == [
        Made("tiny", "v4 lite", "captured"),
        Made("tiny", "v5e", "failed", "no"),
        Made("tiny-scan", "v4 lite", "captured"),
        Made("tiny-scan", "v5e", "captured"),
    ]
    assert said[0] == "1 of 4 captures are there or known to fail; 3 to make"
    assert said[1] == "[1 of 3] tiny for v5e"
    assert said[3].startswith("[2 of 3] tiny-scan for v4 lite; about 0 min left")
    assert list(store.make_all(["tiny", "tiny-scan"], ["v4 lite", "v5e"], said.append)) == made
    assert len(compiler.asked) == 3


def test_a_module_is_the_same_in_every_checkout() -> None:
    here = (
        '#loc1 = loc("/here/a.py":1:2)\nmodule @jit_f {\n'
        '  func @main(%arg0: tensor<2xf32> loc("x")) -> tensor<2xf32> {\n    return %arg0 : tensor<2xf32> loc(#loc1)\n'
        "  } loc(unknown)\n} loc(#loc)\n"
    )
    there = here.replace("/here/a.py", "/there/b.py").replace("#loc1", "#loc17")
    assert module_sha256(here) == module_sha256(there)
    assert module_sha256(here) != module_sha256(here.replace("2xf32", "3xf32"))


def test_a_compile_is_answered_from_the_folder(tmp_path: Path, compiler: FakeCompiler) -> None:
    first = CompileCache(tmp_path, compiler)(REQUEST)
    again = replace(REQUEST, options={"xla_b": "2", "xla_a": "1"})
    assert CompileCache(tmp_path, compiler)(again) == first
    assert len(compiler.asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, lowered="module { }"),
        replace(REQUEST, topology="v5e:1x1"),
        replace(REQUEST, options={"xla_a": "1"}),
        replace(REQUEST, init_args=("--xla_c=1",)),
        replace(REQUEST, vmodule=QUIET_VMODULE),
    ],
)
def test_another_compile_is_another_entry(tmp_path: Path, compiler: FakeCompiler, other: Request) -> None:
    cached = CompileCache(tmp_path, compiler)
    cached(REQUEST)
    cached(other)
    assert len(compiler.asked) == 2


def test_other_versions_compile_anew(tmp_path: Path, compiler: FakeCompiler, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = CompileCache(tmp_path, compiler)
    cached(REQUEST)
    monkeypatch.setattr(cache, "installed_versions", lambda: {"jax": "1", "jaxlib": "1", "libtpu": "1"})
    cached(REQUEST)
    assert len(compiler.asked) == 2


@pytest.mark.parametrize("index", [None, (), (0, 2)])
def test_refused_overrides_are_answers(tmp_path: Path, compiler: FakeCompiler, index: tuple[int, ...] | None) -> None:
    refusal = OverrideRefusedError("fusion.1", 2, "copy.3", "Out of alternate memory", index)
    compiler.wrong = {1: refusal}
    cached = CompileCache(tmp_path, compiler)
    for _ in range(2):
        with pytest.raises(OverrideRefusedError) as caught:
            cached(REQUEST)
        assert vars(caught.value) == vars(refusal)
        assert str(caught.value) == str(refusal)
    assert len(compiler.asked) == 1


def test_other_failures_are_tried_again(tmp_path: Path, compiler: FakeCompiler) -> None:
    compiler.wrong = {1: CompilerRefusedError("the compiler died of SIGKILL")}
    cached = CompileCache(tmp_path, compiler)
    with pytest.raises(CompilerRefusedError):
        cached(REQUEST)
    cached(REQUEST)
    assert len(compiler.asked) == 2


def test_a_damaged_entry_is_made_anew(tmp_path: Path, compiler: FakeCompiler) -> None:
    cached = CompileCache(tmp_path, compiler)
    first = cached(REQUEST)
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(entry.read_bytes()[:-100])
    assert cached(REQUEST) == first
    assert len(compiler.asked) == 2


def test_functions_are_not_cached(tmp_path: Path, compiler: FakeCompiler) -> None:
    cached = CompileCache(tmp_path, compiler)
    for _ in range(2):
        cached(Request("v5e:1x1", function="workloads.tiny:tiny"))
    assert len(compiler.asked) == 2
    assert not list(tmp_path.iterdir())
