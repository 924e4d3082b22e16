"""Rows compiled again, by a fake compiler: every digit counts, and other versions are refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame.bench.replay_row import replay_row
from mallocgame.bench.rows import BenchRow
from mallocgame.bench.run import run
from mallocgame.bench.store import CaptureStore, OtherVersionsError
from mallocgame.system.errors import BadInputError
from tests.bench.fake import FakeCompiler, pretend_versions, put
from tests.bench.test_run import CHOSEN


@pytest.fixture
def store(tmp_path: Path, compiler: FakeCompiler) -> CaptureStore:
    put(tmp_path / "captures", "tiny-v4lite.mgz")
    return CaptureStore(tmp_path / "captures", compile=compiler)


@pytest.fixture
def rows(tmp_path: Path, store: CaptureStore, compiler: FakeCompiler) -> tuple[BenchRow, ...]:
    return run(CHOSEN, store, compiler, tmp_path / "out", print).rows


def test_every_row_agrees(rows: tuple[BenchRow, ...], store: CaptureStore, compiler: FakeCompiler) -> None:
    for row in rows:
        asked = len(compiler.asked)
        compared = replay_row(row, store, print, compile=compiler)
        assert compared.differences == ()
        assert compiler.asked[asked].options == row.compiler_options
    tuned = replace(rows[3], kind="global flags", compiler_options={"xla_msa_max_retries": "5"})
    assert replay_row(tuned, store, print, compile=compiler).differences == ()


def test_a_difference_in_the_last_digit_is_told(
    rows: tuple[BenchRow, ...], store: CaptureStore, compiler: FakeCompiler
) -> None:
    row = rows[1]
    assert row.e_seconds is not None
    changed = replace(row, e_seconds=row.e_seconds * (1 + 2**-52), fingerprint="ab" * 16)
    assert replay_row(changed, store, print, compile=compiler).differences == ("e_seconds", "fingerprint")


def test_other_versions_are_refused_by_name(
    rows: tuple[BenchRow, ...], store: CaptureStore, compiler: FakeCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_versions(monkeypatch, {**compiler.capture.versions, "libtpu": "0.0.99"})
    with pytest.raises(OtherVersionsError, match=r"the row of tiny .* libtpu 0.0.52, but here is .* libtpu 0.0.99"):
        replay_row(rows[0], store, print, compile=compiler)


def test_a_changed_workload_is_told(rows: tuple[BenchRow, ...], store: CaptureStore, compiler: FakeCompiler) -> None:
    with pytest.raises(BadInputError, match="the workload has changed"):
        replay_row(replace(rows[0], module_sha256="ab" * 32), store, print, compile=compiler)


def test_a_failure_has_nothing_to_compare(store: CaptureStore, compiler: FakeCompiler) -> None:
    row = BenchRow("tiny", "v4 lite", "local", 0, {}, dict(compiler.capture.versions), failure="no room")
    with pytest.raises(BadInputError, match="has no figures to compare: no room"):
        replay_row(row, store, print, compile=compiler)
