"""Solves many programs, each in a process of its own, and keeps what is done."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mallocgame.batch.find import Program
from mallocgame.batch.identity import key_of
from mallocgame.batch.job import Ended, Job
from mallocgame.batch.local_engine import run_local
from mallocgame.batch.ray_engine import run_on_ray
from mallocgame.batch.results import Result, open_results, result_of
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress
from mallocgame.system.version import __version__

Engine = Literal["processes", "ray"]
RESULTS = "results.jsonl"
MAX_NAME_BYTES = 200
"""Of the name of a plan's file; file systems allow 255, and writing needs a longer temporary one."""


@dataclass(frozen=True)
class Outcome:
    """What a batch left.

    Attributes:
        results: one a program, in the order of the programs.
        made: how many of them this run has made.
        folder: with the results and plans.
    """

    results: tuple[Result, ...]
    made: int
    folder: Path

    @property
    def failed(self) -> tuple[Result, ...]:
        """Those without an answer."""
        return tuple(result for result in self.results if result.code != 0)


def solve_all(
    programs: Sequence[Program],
    options: Sequence[str],
    out: Path,
    *,
    limit: float,
    engine: Engine = "processes",
    processes: int | None = None,
    apart: Sequence[str] = (),
    progress: Progress,
) -> Outcome:
    """Run ``mallocgame solve`` on each program that ``out`` has no final result of, for its content and ``options``.

    Args:
        programs: what to solve.
        options: of ``solve``, e.g. ``("--seed", "1")``, without FILE, ``--out`` and ``--json``.
        out: folder of the results and plans, which is made.
        limit: seconds after which a job is ended.
        engine: where the jobs run.
        processes: how many at a time; None for one a CPU.
        apart: more options of ``solve``, which do not decide the answer.
        progress: called with a line for each job that starts, and for each that ends.

    Raises:
        BadInputError: ``out`` cannot be used or another run uses it, two programs would have one plan file, or the
            engine cannot be used.
    """
    if processes is not None and processes < 1:
        raise BadInputError(f"there have to be at least 1 process, not {processes}")
    names = _file_names(programs)
    with open_results(out / RESULTS) as file:
        keys = {program.name: key_of(program.path, (__version__, *options)) for program in programs}
        jobs = [
            Job(program.name, key, _tokens(program, out / names[program.name], (*options, *apart)), limit)
            for program in programs
            if not file.is_done(program.name, key := keys[program.name])
        ]
        kept = len(programs) - len(jobs)
        if kept:
            progress(f"{kept} of {len(programs)} programs are done with these options")
        with closing(_run(jobs, engine, processes, progress)) as ended_jobs:
            for done, ended in enumerate(ended_jobs, kept + 1):
                result = result_of(ended, names[ended.job.name])
                file.append(result)
                how = f"no answer: {result.error}" if result.error else f"solved in {result.seconds:.1f} s"
                progress(f"[{done} of {len(programs)}] {result.name}: {how}")
        return Outcome(tuple(file.last[program.name] for program in programs), len(jobs), out)


def _run(
    jobs: Sequence[Job], engine: Engine, processes: int | None, progress: Progress
) -> Generator[Ended, None, None]:
    def started(job: Job) -> None:
        progress(f"{job.name}: started")

    if engine == "ray":
        return run_on_ray(jobs, processes, started)
    return run_local(jobs, processes or len(os.sched_getaffinity(0)), started)


def _tokens(program: Program, out: Path, options: Sequence[str]) -> tuple[str, ...]:
    return ("solve", str(program.path.absolute()), *options, "--out", str(out.absolute()), "--json")


def _file_names(programs: Sequence[Program]) -> dict[str, str]:
    """The name of each program's plan file: its own with its folders before it, so that it says where it comes from."""
    owners: dict[str, str] = {}
    for program in programs:
        name = program.name.replace("/", "__") + ".json"
        if len(os.fsencode(name)) > MAX_NAME_BYTES:
            raise BadInputError(f"{program.path}: its name is too long for the name of a plan; rename it")
        if name in owners:
            raise BadInputError(f"{owners[name]} and {program.name} would both be written to {name}; rename one")
        owners[name] = program.name
    return {program: name for name, program in owners.items()}
