"""What a batch does anew and what it does not, with jobs that a stand-in does."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest

from mallocgame.batch import Outcome, find_programs, run, solve_all
from mallocgame.batch.find import Program
from mallocgame.batch.job import Ended, Job
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import silent
from tests.batch.test_results import SOLVED


class Worker:
    """Does jobs: writes a plan, or fails as it is told."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.codes: dict[str, int] = {}

    def __call__(
        self, jobs: Sequence[Job], processes: int, started: Callable[[Job], None]
    ) -> Generator[Ended, None, None]:
        for job in jobs:
            started(job)
            self.done.append(job.name)
            code = self.codes.get(job.name, 0)
            if code == 0:
                Path(job.tokens[job.tokens.index("--out") + 1]).write_text("plan")
            yield Ended(job, code, json.dumps(SOLVED), "mallocgame: error: no", 1.0)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    worker = Worker()
    monkeypatch.setattr(run, "run_local", worker)
    return worker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "abc":
        (tmp_path / "in" / f"{name}.mgp").parent.mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.mgp").write_text(name)
    return tmp_path / "in"


def _solve(folder: Path, *options: str) -> Outcome:
    return solve_all(find_programs(folder), options, folder.parent / "out", limit=9.0, progress=silent)


def test_nothing_is_done_twice(worker: Worker, folder: Path) -> None:
    worker.codes = {"b.mgp": 2}
    first = _solve(folder, "--seed=1")
    assert ([result.name for result in first.failed], first.made) == (["b.mgp"], 3)
    second = _solve(folder, "--seed=1")
    assert (second.results, second.made, worker.done) == (first.results, 0, ["a.mgp", "b.mgp", "c.mgp"])


def test_other_options_other_content_and_missing_plans_are_done_anew(worker: Worker, folder: Path) -> None:
    _solve(folder, "--seed=1")
    worker.done.clear()
    _solve(folder, "--seed=2")
    assert worker.done == ["a.mgp", "b.mgp", "c.mgp"]
    worker.done.clear()
    (folder / "a.mgp").write_text("other")
    (folder.parent / "out" / "c.mgp.json").unlink()
    assert _solve(folder, "--seed=2").made == 2
    assert worker.done == ["a.mgp", "c.mgp"]


@pytest.mark.parametrize("code", [1, -9, 130])
def test_a_job_that_was_killed_or_broke_is_tried_again(worker: Worker, folder: Path, code: int) -> None:
    worker.codes = {"a.mgp": code}
    assert len(_solve(folder).failed) == 1
    worker.codes = {}
    outcome = _solve(folder)
    assert (outcome.failed, outcome.made) == ((), 1)


def test_tokens(worker: Worker, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Job] = []

    def look(jobs: Sequence[Job], *_: object) -> Generator[Ended, None, None]:
        seen.extend(jobs)
        yield from worker(jobs, 1, lambda job: None)

    monkeypatch.setattr(run, "run_local", look)
    solve_all(
        (Program(folder / "a.mgp", "x/a.mgp"),), ("--seed=1",), folder / "out", limit=1.0, apart=("--cache", "/c"),
        progress=silent,
    )  # fmt: skip
    out = folder / "out" / "x__a.mgp.json"
    assert seen[0].tokens == (
        "solve", str(folder / "a.mgp"), "--seed=1", "--cache", "/c", "--out", str(out), "--json",
    )  # fmt: skip


def test_two_runs_on_one_output(worker: Worker, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def second(*_: object) -> Generator[Ended, None, None]:
        with pytest.raises(BadInputError, match="another run appends to it"):
            _solve(folder)
        yield from ()

    monkeypatch.setattr(run, "run_local", second)
    with pytest.raises(KeyError):
        _solve(folder)
    assert worker.done == []


def test_names_that_collide_or_are_too_long(folder: Path) -> None:
    twice = (Program(folder / "a.mgp", "x/y"), Program(folder / "b.mgp", "x__y"))
    for programs, words in ((twice, "would both be written"), ((Program(folder, "x" * 199),), "too long")):
        with pytest.raises(BadInputError, match=words):
            solve_all(programs, (), folder / "out", limit=1.0, progress=silent)


def test_no_processes(folder: Path) -> None:
    with pytest.raises(BadInputError, match="at least 1"):
        solve_all(find_programs(folder), (), folder / "out", limit=1.0, processes=0, progress=silent)
