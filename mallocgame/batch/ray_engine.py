"""Jobs on a Ray cluster. Every node has to have mallocgame installed, and to see the files under the same paths."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from importlib import import_module
from typing import Any

from mallocgame.batch.job import Ended, Job, run_job
from mallocgame.system.errors import BadInputError
from mallocgame.system.printable import one_line

NODE_LOST = -9


def run_on_ray(
    jobs: Sequence[Job], processes: int | None, started: Callable[[Job], None]
) -> Generator[Ended, None, None]:
    """What the jobs leave, as they end; none runs on when the generator is closed.

    Args:
        jobs: to be run; each takes one CPU.
        processes: how many at most at a time; None for as many as the cluster has room for.
        started: called with each job that is handed to Ray.

    Raises:
        BadInputError: Ray is not installed, or there is no cluster where RAY_ADDRESS says.
    """
    try:
        ray: Any = import_module("ray")
    except ImportError:
        raise BadInputError("--engine ray needs Ray: pip install 'mallocgame[ray]'") from None
    try:
        ray.init(ignore_reinit_error=True, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInputError(f"Ray cannot be used: {one_line(error, 300)}") from None
    remote: Any = ray.remote(num_cpus=1)(run_job)
    waiting = list(reversed(jobs))
    running: dict[Any, Job] = {}
    try:
        while waiting or running:
            while waiting and (processes is None or len(running) < processes):
                job = waiting.pop()
                started(job)
                running[remote.remote(job)] = job
            (done, *_), _ = ray.wait(list(running), num_returns=1)
            job = running.pop(done)
            try:
                yield ray.get(done)
            except ray.exceptions.RayError as error:
                yield Ended(job, NODE_LOST, "", f"Ray: {one_line(error, 300)}", 0.0)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
