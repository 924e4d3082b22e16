"""``optimize`` with a compiler whose times are known: what it answers, what it keeps, and what it searches anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mallocgame
from mallocgame.compiler import versions as versions_module
from mallocgame.compiler.capture_file import load_capture, save_capture
from mallocgame.compiler.child import Compiled, Limits, Request
from mallocgame.compiler.export.options import TENSOR_OVERRIDES
from mallocgame.optimizer import search, settings
from mallocgame.plan.answer_file import load_answer
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from tests.bench.scan import CLOCK, a_capture
from tests.optimizer.fake_search import MODULE
from tests.optimizer.improve.fake import Fake


@pytest.fixture
def ask(module: Path, tmp_path: Path) -> Callable[..., mallocgame.Optimized]:
    """Optimize the module with three compiles and a cache of the test's own."""

    def call(program: object = module, **changes: Any) -> mallocgame.Optimized:
        given = {"target": "v5e", "time_limit": 0.3, "compiles": 3, "cache": tmp_path / "cache"} | changes
        return mallocgame.optimize(program, **given)

    return call


def test_the_answer_is_what_the_compiler_confirmed(fake: Fake, ask: Callable[..., mallocgame.Optimized]) -> None:
    plan = ask()
    assert [options.get(SCOPED_VMEM) for options in fake.asked] == [None, "49152", "49152", "32768"]
    assert (plan.module, plan.target, plan.kind, plan.verdict) == ("jit_scan", "v5e", "plan", "better")
    assert plan.compiler_options == fake.asked[2]
    assert TENSOR_OVERRIDES in plan.compiler_options
    assert plan.confirmed
    assert plan.compiles == 4
    assert plan.status == "compiles spent"
    assert plan.default is not None
    assert plan.default.e_seconds is not None
    assert plan.answer.e_seconds is not None
    saved = plan.default.e_seconds - plan.answer.e_seconds
    assert saved * CLOCK == pytest.approx(60_000, abs=1.0)
    assert plan.saving[0] == pytest.approx(saved / plan.default.e_seconds)
    assert plan.flags().split() == [f"--{name}={value}" for name, value in plan.compiler_options.items()]


def test_a_second_call_compiles_nothing(fake: Fake, ask: Callable[..., mallocgame.Optimized], tmp_path: Path) -> None:
    first = ask()
    asked = len(fake.asked)
    second = ask()
    assert len(fake.asked) == asked
    assert (first.from_cache, second.from_cache) == (False, True)
    assert second == first
    assert first.file == second.file
    assert first.file is not None
    assert first.file.parent == tmp_path / "cache"
    assert sorted(path.suffix for path in (tmp_path / "cache").iterdir()) == [".json", ".lock", ".work"]
    kept = load_answer(first.file)
    assert kept == first.proof == second.proof
    assert isinstance(kept, NamedPlan)
    assert kept.confirmation is not None
    assert first.default is not None
    for stated, estimate in ((kept.confirmation.default, first.default), (kept.confirmation.answer, first.answer)):
        assert (stated.e_seconds, stated.m_seconds) == (estimate.e_seconds, estimate.m_seconds)
    assert load_capture(kept.confirmation.capture).problem().module == "jit_scan"
    assert len(kept.confirmation.tried) == 4


def test_a_search_starts_from_an_answer(fake: Fake, ask: Callable[..., mallocgame.Optimized], tmp_path: Path) -> None:
    old = ask()
    old.save(tmp_path / "old.json")
    assert mallocgame.load_optimized(tmp_path / "old.json") == old
    fake.asked.clear()
    new = ask(start_from=tmp_path / "old.json", compiles=1)
    assert [options.get(SCOPED_VMEM) for options in fake.asked] == [None, "49152"]
    assert new.about.startswith("plan carried over from old.json: ")
    assert new.notes[-1] == new.about
    assert (new.answer, new.default) == (old.answer, old.default)
    assert ask(start_from=tmp_path / "old.json", compiles=1).from_cache
    new.save(tmp_path / "new.json")
    assert not ask(start_from=tmp_path / "new.json", compiles=1).from_cache, "another answer to start from"


def test_nothing_beats_xla(monkeypatch: pytest.MonkeyPatch, ask: Callable[..., mallocgame.Optimized]) -> None:
    class Slow(Fake):
        def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
            compiled = super().__call__(Request(request.topology, lowered=request.lowered))
            if request.options:
                raise CompilerRefusedError("not today")
            return compiled

    monkeypatch.setattr(search, "compile_in_child", Slow())
    plan = ask()
    assert (plan.kind, plan.verdict, plan.compiler_options) == ("xla default", "equal", {})
    assert plan.answer == plan.default
    assert plan.flags() == ""
    assert str(plan) == "jit_scan for v5e: nothing beats XLA's default; confirmed by the compiler"


@pytest.mark.parametrize(
    "change",
    [
        {"target": "v5p"},
        {"time_limit": 0.4},
        {"compiles": 1},
        {"compile_time": 100.0},
        {"objective": "E"},
        {"strict": True},
        {"seed": 1},
        {"compiler_options": {"xla_tpu_enable_latency_hiding_scheduler": True}},
    ],
)
def test_other_arguments_are_another_search(
    fake: Fake, ask: Callable[..., mallocgame.Optimized], change: dict[str, Any]
) -> None:
    ask(compiles=2)
    asked = len(fake.asked)
    assert not ask(**{"compiles": 2} | change).from_cache
    assert len(fake.asked) > asked


def test_another_compiler_is_another_search(
    fake: Fake, ask: Callable[..., mallocgame.Optimized], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("jax", "jaxlib", "libtpu"):
        versions = dict.fromkeys(("jax", "jaxlib", "libtpu"), "1") | {name: "2"}
        monkeypatch.setattr(versions_module, "installed_versions", lambda versions=versions: versions)
        assert not ask(compiles=1).from_cache
        assert ask(compiles=1).from_cache
    monkeypatch.setenv("TPU_LIBRARY_PATH", "/opt/libtpu.so")
    assert not ask(compiles=1).from_cache
    monkeypatch.setattr(settings, "__version__", "99")
    assert not ask(compiles=1).from_cache


def test_another_program_is_another_search_and_moved_source_is_not(
    fake: Fake, ask: Callable[..., mallocgame.Optimized], module: Path
) -> None:
    ask(compiles=1)
    module.write_text(MODULE.replace('"step.py":3:4', '"other.py":77:1'))
    assert ask(compiles=1).from_cache
    module.write_text(MODULE.replace("8xf32", "16xf32"))
    assert not ask(compiles=1).from_cache


def test_options_of_the_user_are_in_every_compile(
    ask: Callable[..., mallocgame.Optimized], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Request] = []

    class Recording(Fake):
        def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
            asked.append(request)
            return super().__call__(request, limits)

    monkeypatch.setattr(search, "compile_in_child", Recording())
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "-xla_a=1 --noxla_b --xla_d -1 --xla_dump_to=/tmp/x")
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
    plan = ask(compiles=2, compiler_options={"xla_a": 2, "xla_c": False, "optimization_level": 39})
    given = {"xla_a": "2", "xla_c": "false", "optimization_level": "39"}
    assert asked[0].options == given
    assert len(asked) == 3
    assert all(given.items() <= request.options.items() for request in asked)
    assert {request.init_args for request in asked} == {("-xla_a=1", "--noxla_b", "--xla_d", "-1")}
    assert {"xla_a": "2", "xla_c": "false", "optimization_level": 39}.items() <= plan.compiler_options.items()
    assert plan.flags().startswith("-xla_a=1 --noxla_b --xla_d -1 --xla_a=2 --xla_c=false --xla_")
    assert "optimization_level" not in plan.flags()
    assert plan.notes[:2] == (
        "left out of LIBTPU_INIT_ARGS, about files or the log: xla_dump_to",
        "XLA_FLAGS is set; the program was compiled without it",
    )
    plan.save(tmp_path / "plan.json")
    assert mallocgame.load_optimized(tmp_path / "plan.json") == plan


def test_a_capture_is_compiled_with_its_own_flags(
    ask: Callable[..., mallocgame.Optimized], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: set[tuple[str, ...]] = set()

    class Recording(Fake):
        def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
            seen.add(request.init_args)
            return super().__call__(request, limits)

    monkeypatch.setattr(search, "compile_in_child", Recording())
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "--xla_other=1")
    save_capture(replace(a_capture(), init_args=("--xla_a", "-1")), tmp_path / "a.mgz")
    ask(tmp_path / "a.mgz", target=None, compiles=2)
    assert seen == {("--xla_a", "-1")}


def test_what_is_interrupted_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[..., mallocgame.Optimized], fake: Fake
) -> None:
    class Interrupted(Fake):
        def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
            if len(self.asked) == 2:
                raise KeyboardInterrupt
            return super().__call__(request, limits)

    monkeypatch.setattr(search, "compile_in_child", Interrupted())
    plan = ask()
    assert (plan.status, plan.file, plan.compiler_options) == ("interrupted", None, {SCOPED_VMEM: "49152"})
    monkeypatch.setattr(search, "compile_in_child", fake)
    assert ask().kind == "plan"
    # XLA's default and the split were compiled before the interrupt.
    assert len(fake.asked) == 2


def test_a_capture_is_its_program(fake: Fake, ask: Callable[..., mallocgame.Optimized], tmp_path: Path) -> None:
    file = tmp_path / "scan.mgz"
    save_capture(a_capture({"xla_b": "1"}), file)
    plan = ask(file, target=None)
    assert fake.asked[0] == {"xla_b": "1"}
    assert (plan.kind, plan.confirmed) == ("plan", True)
    with pytest.raises(BadInputError, match="was captured for v5e, not for v5p"):
        ask(file, target="v5p")


def test_without_a_compiler_a_capture_gets_a_prediction(
    ask: Callable[..., mallocgame.Optimized], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> dict[str, str]:
        raise CompilerRefusedError("libtpu is not installed")

    from mallocgame.optimizer import automatic

    for place in (versions_module, automatic):
        monkeypatch.setattr(place, "installed_versions", missing)
    file = tmp_path / "scan.mgz"
    save_capture(a_capture(), file)
    plan = ask(file, target=None)
    assert not plan.confirmed
    assert plan.versions == {}
    assert plan.notes[-1] == "nothing is confirmed: libtpu is not installed"
    assert plan.default is not None
    assert (plan.kind == "plan") == (plan.compiler_options != {}) == (plan.verdict == "better")
    assert ask(file, target=None).from_cache


def test_a_text_gets_a_prediction(ask: Callable[..., mallocgame.Optimized], tmp_path: Path) -> None:
    from tests.cli.support import PROGRAM

    file = tmp_path / "small.txt"
    file.write_text(PROGRAM)
    plan = ask(file)
    assert (plan.kind, plan.verdict, plan.confirmed, plan.compiler_options) == ("xla default", "equal", False, {})
    assert plan.default == plan.answer
    assert str(plan).endswith("nothing beats XLA's default; predicted, not confirmed")
    file.write_text(PROGRAM + "\n")
    assert not ask(file).from_cache


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_limit": 0.0}, "positive number of seconds, not 0.0"),
        ({"time_limit": float("nan")}, "positive number of seconds, not nan"),
        ({"compiles": 0}, "at least one compile"),
        ({"compile_time": 0.0}, "compile time has to be a positive number of seconds, not 0.0"),
        ({"objective": "speed"}, "unknown objective 'speed'; known: E, M, both"),
        ({"target": "v99"}, "unknown target 'v99'"),
        ({"module": "jit_step"}, "is one module, and module= is for dump folders of several"),
        ({"compiler_options": {"xla_dump_to": "/etc"}}, "'xla_dump_to' is not an option"),
        ({"program": 5}, "a int cannot be optimized"),
        ({"program": "no_such.mlir"}, "no_such.mlir"),
        ({"program": "no_such.mgz"}, "no such file"),
    ],
)
def test_bad_arguments(ask: Callable[..., mallocgame.Optimized], change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        ask(**change)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_told_once(
    fake: Fake, ask: Callable[..., mallocgame.Optimized], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, "mallocgame"):
        plan = ask(cache=tmp_path / "file" / "cache", compiles=1)
    assert plan.file is None
    assert plan.verdict == "better"
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/file/cache: cannot be written (Not a directory); answers are not kept"
    ]


def test_a_full_disk_is_told_and_the_search_goes_on(
    fake: Fake,
    ask: Callable[..., mallocgame.Optimized],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mallocgame.system.files.os.replace", full)
    plan = ask(compiles=1)
    assert (plan.verdict, plan.file) == ("better", None)
    # XLA's default, one compile, the program, and the answer.
    assert [message.rpartition("; ")[2] for message in caplog.messages] == [
        "the compile is not kept",
        "the compile is not kept",
        "the answer does not carry what was confirmed",
        "the answer is not kept",
    ]


def test_the_progress_says_where_the_answer_is(fake: Fake, ask: Callable[..., mallocgame.Optimized]) -> None:
    told: list[str] = []
    plan = ask(compiles=1, progress=told.append)
    assert told[0] == "compiling jit_step for v5e as XLA does"
    assert told[-1] == f"kept in {plan.file}"
