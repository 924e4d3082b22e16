"""Whole runs with a fake compiler: rows, resume, failures and partial tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame.bench.methods import Settings
from mallocgame.bench.rows import BenchRow
from mallocgame.bench.rows_file import read_row
from mallocgame.bench.run import Outcome, Selection, run
from mallocgame.bench.selection import select
from mallocgame.bench.store import CaptureStore
from mallocgame.compiler.verify import verify
from mallocgame.system.errors import BadInputError, CompilerRefusedError, NotWrittenError
from tests.bench.fake import PEAK, SECONDS, FakeCompiler, pretend_versions, put

SETTINGS = Settings(time_limit=0.2, compiles=2)
CHOSEN = Selection(("tiny",), ("v4 lite",), ("xla default", "msa off", "flag tuning", "greedy"), SETTINGS)


def go(folder: Path, compiler: FakeCompiler, selection: Selection = CHOSEN) -> Outcome:
    return run(selection, CaptureStore(folder / "captures", compile=compiler), compiler, folder / "out", print)


def timeless(rows: tuple[BenchRow, ...]) -> list[BenchRow]:
    """What has to be the same in every run."""
    return [replace(row, seconds=0.0) for row in rows]


def test_every_method_has_its_row(tmp_path: Path, compiler: FakeCompiler) -> None:
    put(tmp_path / "captures", "tiny-v4lite.mgz")
    outcome = go(tmp_path, compiler)
    assert outcome.complete
    default, off, solved, tuned = outcome.rows
    assert [row.method for row in outcome.rows] == ["xla default", "msa off", "greedy", "flag tuning"]
    assert all(row.failure is None for row in outcome.rows)
    # The fake compiler gives XLA's default whatever it is asked for.
    assert {(row.e_seconds, row.m_seconds, row.verdict) for row in outcome.rows} == {
        (default.default_e, default.default_m, "equal")
    }
    assert (default.kind, off.kind, solved.kind, tuned.kind) == ("xla default", "msa off", "plan", "xla default")
    assert (default.compiles, off.compiles) == (1, 1)
    assert off.seconds == SECONDS
    assert off.peak_memory == solved.peak_memory == PEAK
    assert solved.compiles == tuned.compiles == 1
    assert default.seconds == compiler.capture.seconds
    assert off.compiler_options == {"xla_msa_enable": "false"}
    assert "xla_tpu_msa_tensor_overrides" in solved.compiler_options
    assert solved.honoured is not None
    assert solved.sites is not None
    assert solved.honoured < solved.sites
    assert solved.options == {"compiles": 2, "time_limit": 0.2}
    assert default.bound_m is not None
    assert default.m_seconds is not None
    assert 0 < default.bound_m <= default.m_seconds
    assert len({(row.module_sha256, row.fingerprint) for row in outcome.rows}) == 1
    assert read_row(f"{tmp_path / 'out' / 'rows.jsonl'}:3") == solved


def test_flag_tuning_gets_as_many_compiles_as_the_solver_took(tmp_path: Path, compiler: FakeCompiler) -> None:
    put(tmp_path / "captures", "tiny-v4lite.mgz")
    rows = {row.method: row for row in go(tmp_path, compiler, replace(CHOSEN, settings=Settings(0, 0.2, 9))).rows}
    assert rows["greedy"].compiles == rows["flag tuning"].compiles == 1
    assert rows["flag tuning"].options == {"compiles": 9}


def test_a_second_run_has_nothing_to_do(tmp_path: Path, compiler: FakeCompiler) -> None:
    put(tmp_path / "captures", "tiny-v4lite.mgz")
    first = go(tmp_path, compiler)
    asked = len(compiler.asked)
    again = go(tmp_path, compiler)
    assert (again.rows, again.made, first.made) == (first.rows, 0, 4)
    assert len(compiler.asked) == asked


@pytest.mark.parametrize("request_number", [1, 2, 3])
def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, compiler: FakeCompiler, request_number: int) -> None:
    put(tmp_path / "whole" / "captures", "tiny-v4lite.mgz")
    put(tmp_path / "cut" / "captures", "tiny-v4lite.mgz")
    whole = go(tmp_path / "whole", compiler)
    interrupted = FakeCompiler(compiler.capture, wrong={request_number: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "cut", interrupted)
    assert "partial" in (tmp_path / "cut" / "out" / "table.md").read_text().lower()
    assert "partial" in (tmp_path / "cut" / "out" / "table.html").read_text().lower()
    resumed = go(tmp_path / "cut", interrupted)
    assert resumed.complete
    assert timeless(resumed.rows) == timeless(whole.rows)
    assert "partial" not in (tmp_path / "cut" / "out" / "table.md").read_text().lower()


def test_one_failing_program_does_not_stop_the_others(tmp_path: Path, compiler: FakeCompiler) -> None:
    put(tmp_path / "captures", "tiny-v4lite.mgz")
    compiler.wrong = {1: CompilerRefusedError("the compiler refused: no\nroom")}
    chosen = Selection(("tiny-scan", "tiny"), ("v4 lite",), ("xla default", "msa off"), SETTINGS)
    failed, also, default, off = go(tmp_path, compiler, chosen).rows
    assert failed.failure == also.failure == "the compiler refused: no room"
    assert (failed.method, also.method) == ("xla default", "msa off")
    assert failed.e_seconds is None
    assert default.failure is None
    assert off.failure is None


def test_one_failing_method_does_not_stop_the_others(tmp_path: Path, compiler: FakeCompiler) -> None:
    put(tmp_path / "captures", "tiny-v4lite.mgz")
    compiler.wrong = {1: RuntimeError("a bug")}
    default, off, solved, tuned = go(tmp_path, compiler).rows
    assert off.failure == "RuntimeError: a bug"
    assert default.failure is solved.failure is tuned.failure is None


def test_a_full_disk_is_no_row_and_ends_the_run(tmp_path: Path, compiler: FakeCompiler) -> None:
    put(tmp_path / "captures", "tiny-v4lite.mgz")
    compiler.wrong = {1: NotWrittenError("compiles/x.zip: cannot be written: No space left on device")}
    with pytest.raises(NotWrittenError, match="No space left"):
        go(tmp_path, compiler)
    lines = (tmp_path / "out" / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line)["method"] for line in lines] == ["xla default"]


def test_rows_of_other_options_or_versions_are_not_mixed(
    tmp_path: Path, compiler: FakeCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "captures", "tiny-v4lite.mgz")
    chosen = replace(CHOSEN, methods=("xla default", "greedy"))
    go(tmp_path, compiler, chosen)
    longer = replace(chosen, settings=replace(SETTINGS, time_limit=60.0))
    with pytest.raises(BadInputError, match=r"rows of greedy with .*'time_limit': 0.2.*choose another --out"):
        go(tmp_path, compiler, longer)
    assert go(tmp_path, compiler, replace(longer, methods=("xla default", "msa off"))).made == 1
    pretend_versions(monkeypatch, {**compiler.capture.versions, "jax": "9.9"})
    with pytest.raises(BadInputError, match=r"rows of jax 0\.10\.2"):
        go(tmp_path, compiler, chosen)


def test_a_capture_of_other_versions_stops_the_run(
    tmp_path: Path, compiler: FakeCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "captures", "tiny-v4lite.mgz")
    pretend_versions(monkeypatch, {**compiler.capture.versions, "jax": "9.9"})
    with pytest.raises(BadInputError, match=r"was made by jax 0\.10\.2"):
        go(tmp_path, compiler)
    assert (tmp_path / "out" / "rows.jsonl").read_bytes() == b""


def test_an_interrupted_solver_ends_the_run(
    tmp_path: Path, compiler: FakeCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Solvers give their best so far when interrupted; that is no row of the time limit that was asked for."""
    from mallocgame.bench import methods

    real = methods.solve
    monkeypatch.setattr(methods, "solve", lambda *given: replace(real(*given), status="interrupted"))
    put(tmp_path / "captures", "tiny-v4lite.mgz")
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, compiler)
    lines = (tmp_path / "out" / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line)["method"] for line in lines] == ["xla default", "msa off"]


def test_selections() -> None:
    whole = select((), (), (), (), Settings())
    assert len(whole.workloads) == 52
    assert whole.targets == ("v4 lite", "v5p")
    assert whole.methods == ("xla default", "msa off", "flag tuning", "local")
    cheap = select(("tiny", "tiny"), ("v6e",), ("xla default", "msa off"), (), Settings())
    assert (cheap.workloads, cheap.targets) == (("tiny",), ("v6e",))
    assert cheap.methods == ("xla default", "msa off")
    assert select((), (), (), ("hbm", "local"), Settings()).methods[3:] == ("hbm", "local")


@pytest.mark.parametrize(
    ("names", "targets", "methods", "settings", "words"),
    [
        (("none",), (), (), Settings(), "unknown workload 'none'"),
        ((), ("v9",), (), Settings(), "unknown target 'v9'"),
        ((), (), ("magic",), Settings(), "unknown method 'magic'"),
        ((), (), (), Settings(compiles=0), "have to be positive"),
        ((), (), (), Settings(time_limit=float("nan")), "have to be positive"),
        ((), (), (), Settings(seed=-1), "have to be positive"),
    ],
)
def test_bad_selections(
    names: tuple[str, ...], targets: tuple[str, ...], methods: tuple[str, ...], settings: Settings, words: str
) -> None:
    with pytest.raises(BadInputError, match=words):
        select(names, targets, methods, (), settings)


def test_verify_asks_whom_it_is_given(compiler: FakeCompiler) -> None:
    from mallocgame.plan.named_plan import name_plan
    from mallocgame.solvers import solve

    problem = compiler.capture.problem()
    named = name_plan(problem, solve(problem, "hbm").plan, solver="hbm", versions=compiler.capture.versions)
    assert verify(named, compiler.capture, compile=compiler).compiles == len(compiler.asked) == 2
    assert [row.name for row in verify(named, compiler.capture, compile=compiler, msa_off=False).rows] == [
        "xla default",
        "plan",
    ]
    assert len(compiler.asked) == 3
