"""Jobs on Ray, with a Ray that runs each at once in this process."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mallocgame.batch import ray_engine
from mallocgame.batch.job import Ended, Job
from mallocgame.system.errors import BadInputError

JOBS = [Job(str(number), "key", (), 1.0) for number in range(4)]


class RayError(Exception):
    """Of the stand-in."""


class FakeRay(ModuleType):
    """Counts what runs at a time; the job named "2" loses its node."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.exceptions = SimpleNamespace(RayError=RayError)
        self.most, self.cancelled = 0, list[str]()

    def init(self, **_: object) -> None:
        pass

    def remote(self, **options: object) -> Any:
        assert options == {"num_cpus": 1}
        return lambda function: SimpleNamespace(remote=lambda job: job.name)

    def wait(self, references: list[str], num_returns: int) -> tuple[list[str], list[str]]:
        self.most = max(self.most, len(references))
        return references[:num_returns], references[num_returns:]

    def get(self, reference: str) -> Ended:
        if reference == "2":
            raise RayError("the node\ndied")
        return Ended(JOBS[int(reference)], 0, "", "", 1.0)

    def cancel(self, reference: str, force: bool) -> None:
        assert force
        self.cancelled.append(reference)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    return fake


@pytest.mark.parametrize(("processes", "most"), [(None, 4), (2, 2)])
def test_all_jobs(ray: FakeRay, processes: int | None, most: int) -> None:
    started: list[Job] = []
    ended = list(ray_engine.run_on_ray(JOBS, processes, started.append))
    assert started == JOBS
    assert [(entry.job.name, entry.code, entry.errors) for entry in ended] == [
        ("0", 0, ""), ("1", 0, ""), ("2", -9, "Ray: the node died"), ("3", 0, ""),
    ]  # fmt: skip
    assert (ray.most, ray.cancelled) == (most, [])


def test_the_rest_is_cancelled_when_the_run_is_given_up(ray: FakeRay) -> None:
    running = ray_engine.run_on_ray(JOBS, None, lambda job: None)
    next(running)
    running.close()
    assert ray.cancelled == ["1", "2", "3"]


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadInputError, match=r"pip install 'mallocgame\[ray\]'"):
        next(ray_engine.run_on_ray(JOBS, None, lambda job: None))


def test_without_a_cluster(ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise ConnectionError("no cluster\nthere")

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(BadInputError, match="Ray cannot be used: no cluster there"):
        next(ray_engine.run_on_ray(JOBS, None, lambda job: None))
