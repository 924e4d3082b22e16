"""The cache: damage, races, dead holders, what is forgotten, and where it is."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame.optimizer import store as store_module
from mallocgame.optimizer.answer import Estimate, Optimized
from mallocgame.optimizer.store import Store, open_store
from mallocgame.system.files import cache_folder
from mallocgame.system.progress import silent

ROOT = Path(__file__).parents[2]
ANSWER = Optimized(
    module="jit_f",
    target="v5e",
    program="ab" * 32,
    fingerprint="cd" * 16,
    versions={"libtpu": "0.0.52"},
    kind="split",
    about="split of 32768 KiB",
    options={"xla_tpu_scoped_vmem_limit_kib": "32768"},
    default=Estimate(2.0, 1.0),
    answer=Estimate(1.5, 1.0),
    verdict="better",
    confirmed=True,
    status="compiles spent",
    compiles=4,
    seconds=12.5,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "deep" / "cache")


def test_what_is_kept_is_found(store: Store) -> None:
    assert store.find("k") is None
    kept = store.keep("k", ANSWER)
    assert kept.file == store.folder / "k.json"
    found = store.find("k")
    assert found == ANSWER
    assert found is not None
    assert found.from_cache


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.999])
def test_a_damaged_answer_is_told_and_none(store: Store, share: float, caplog: pytest.LogCaptureFixture) -> None:
    store.keep("k", ANSWER)
    path = store.folder / "k.json"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * (len(data) - 2))])
    with caplog.at_level(logging.WARNING, "mallocgame"):
        assert store.find("k") is None
    (record,) = caplog.records
    assert record.getMessage().startswith(str(path))
    assert record.getMessage().endswith("the search is done again")
    store.keep("k", ANSWER)
    assert store.find("k") == ANSWER


def test_a_folder_that_fills_up_is_told(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mallocgame.system.files.os.replace", full)
    with caplog.at_level(logging.WARNING, "mallocgame"):
        assert store.keep("k", ANSWER).file is None
    assert "No space left on device; the answer is not kept" in caplog.text
    assert list(store.folder.iterdir()) == []


def test_what_was_not_used_for_longest_is_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for age, key in enumerate(("new", "middle", "old")):
        store.keep(key, ANSWER)
        os.utime(store.folder / f"{key}.json", (1e9 - age, 1e9 - age))
    assert store.find("old") is not None  # which makes it the newest
    (store.folder / "dead.work").mkdir()
    (store.folder / "dead.work" / "x.zip").write_bytes(bytes(100))
    os.utime(store.folder / "dead.work", (1e8, 1e8))
    size = (store.folder / "old.json").stat().st_size
    monkeypatch.setattr(store_module, "MAX_BYTES", int(2.5 * size))
    store.keep("newest", ANSWER)
    assert sorted(path.name for path in store.folder.iterdir()) == ["newest.json", "old.json"]


def test_what_another_process_works_on_is_not_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_BYTES", 1)
    with store.searching("k", silent) as work:
        work.mkdir()
        store.keep("other", ANSWER)
        assert work.is_dir()
    store.keep("third", ANSWER)
    assert not work.is_dir()


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "mallocgame"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the XDG specification says to ignore
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/home/me/.cache/mallocgame")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("/home/me/.cache/mallocgame")


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def none(_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(store_module.Path, "home", classmethod(none))
    found = open_store(None)
    assert not found.writable
    assert found.find("k") is None
    assert caplog.messages == ["there is no home folder; answers are not kept: give cache=, or set XDG_CACHE_HOME"]


def start(module: Path, tmp_path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.optimizer.fake_search", module, tmp_path / "cache", tmp_path / "log"]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_of_several_processes_one_searches(module: Path, tmp_path: Path) -> None:
    processes = [start(module, tmp_path) for _ in range(4)]
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    compiled = (tmp_path / "log").read_text().split()
    assert len(compiled) == 3  # XLA's default and the budget of two
    assert len(set(compiled)) == 1
    assert sorted(from_cache for from_cache, _ in answers) == [False, True, True, True]
    assert all(options == answers[0][1] for _, options in answers)
    assert answers[0][1]


def test_a_dead_holder_blocks_nobody_and_its_compiles_are_used(module: Path, tmp_path: Path) -> None:
    holder = start(module, tmp_path)
    log = tmp_path / "log"
    while not (log.exists() and len(log.read_text().split()) == 2):
        assert holder.poll() is None
        time.sleep(0.05)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    second = start(module, tmp_path)
    assert json.loads(second.communicate(timeout=120)[0])[0] is False
    # XLA's default was compiled by the dead one.
    assert log.read_text().split() == [str(holder.pid)] * 2 + [str(second.pid)] * 2


def test_a_file_system_without_locks_is_told(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(store_module.fcntl, "flock", none)
    with caplog.at_level(logging.WARNING, "mallocgame"), store.searching("k", silent) as work:
        assert work == store.folder / "k.work"
    assert caplog.messages == ["the cache's file system has no locks (No locks available)"]


def test_a_folder_that_cannot_be_written_is_read(store: Store) -> None:
    store.keep("k", ANSWER)
    reader = replace(store, writable=False)
    assert reader.find("k") == ANSWER
    assert reader.keep("other", ANSWER).file is None
    with reader.searching("other", silent) as work:
        assert store.folder not in work.parents
        assert work.is_dir()
    assert not work.exists()
    assert not (store.folder / "other.json").exists()
