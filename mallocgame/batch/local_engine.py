"""Jobs on this machine, some at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, suppress
from time import sleep

from mallocgame.batch.job import POLL_SECONDS, Ended, Job, Running, start


def run_local(jobs: Sequence[Job], processes: int, started: Callable[[Job], None]) -> Generator[Ended, None, None]:
    """What the jobs leave, as they end; ``processes`` of them run at a time, and none when the generator is closed."""
    waiting = iter(jobs)
    with ExitStack() as all_of_them:
        running: list[tuple[Running, ExitStack]] = []

        def begin(job: Job) -> None:
            started(job)
            own = all_of_them.enter_context(ExitStack())
            running.append((own.enter_context(start(job)), own))

        for _, job in zip(range(processes), waiting, strict=False):
            begin(job)
        while running:
            sleep(POLL_SECONDS)
            for entry in list(running):
                ended = entry[0].ended()
                if ended is None:
                    continue
                running.remove(entry)
                entry[1].close()
                yield ended
                with suppress(StopIteration):
                    begin(next(waiting))
