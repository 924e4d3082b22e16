"""From a program to a plan: by one solver, with the compiler, or for many programs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from mallocgame.api.arguments import PathLike, check_time_limit
from mallocgame.plan.objective import Objective
from mallocgame.system.errors import BadInputError, MallocgameError
from mallocgame.system.files import check_writable
from mallocgame.system.progress import Progress, Stage, silent

if TYPE_CHECKING:
    from mallocgame.batch import Engine
    from mallocgame.batch import Outcome as SeveralSolved
    from mallocgame.optimizer.automatic import Asked, Automatic
    from mallocgame.optimizer.foresight import Foresight
    from mallocgame.plan.plan_file import NamedPlan
    from mallocgame.plan.verdict import Verdict
    from mallocgame.problem.given import Trips
    from mallocgame.programs.loaded import Loaded
    from mallocgame.solvers import Solution


@dataclass(frozen=True)
class Solved:
    """A validated plan and how it was found.

    Attributes:
        loaded: what was solved.
        solution: the plan, the solver's name and status, seconds under M of the plan and of everything in HBM.
        named: what a plan file holds.
        seconds: wall time, reading the program included.
        foresight: what the plan is compared with; None where the program can be compiled, or a solver was asked for.
        verdict: of that comparison. A plan that is not better is not written.
    """

    loaded: Loaded
    solution: Solution
    named: NamedPlan
    seconds: float
    foresight: Foresight | None = None
    verdict: Verdict | None = None


def solve(
    file: PathLike,
    *,
    target: str | None = None,
    module: str | None = None,
    solver: str | None = None,
    time_limit: float = 30.0,
    seed: int = 0,
    objective: Objective | None = None,
    kernels: Mapping[str, float] | None = None,
    trips: Trips | None = None,
    out: PathLike | None = None,
    progress: Progress | None = None,
) -> Solved:
    """Find a plan for FILE, check it, and write it to ``out`` if given.

    Where the program cannot be compiled and no solver is named, the plan is compared with XLA's own placement, foreseen
    where it is not known, and written only if it is predicted better by game.md's rule.

    Args:
        file: of a kind that ``mallocgame.programs.loading`` has a reader for. Costs of a text are analytic.
        target: a name, or a target file that ``calibrate`` wrote: measured figures in place of the table's. None for
            what the file says, else ``mallocgame.problem.targets.DEFAULT_TARGET``.
        module: of a dump folder with several; None for the largest.
        solver: one of ``mallocgame.solvers.SOLVERS``, whose plan is given whatever it is worth; None for local.
        time_limit: seconds for the solver.
        seed: the same seed, file and options give the same moves.
        objective: what the plan is to be quick under; None for M, or both where it is compared.
        kernels: seconds of kernels and collectives, by name of the instruction, with or without its number, whatever
            else is known of them.
        trips: how often while loops run, by name likewise, or one number for all that nobody knows of.
        progress: called with one line now and then.

    Raises:
        BadInputError: the file cannot be used, or target or solver are unknown.
        NoAnswerError: the solver found nothing.
        xla_dump_parser.ParseError: the text is damaged.
    """
    from mallocgame import solvers
    from mallocgame.compiler.capture_file import is_capture
    from mallocgame.optimizer.foresight import foresight_of
    from mallocgame.plan.named_plan import FILE_OPTION
    from mallocgame.plan.plan_file import name_plan, save_plan
    from mallocgame.plan.validate import validate
    from mallocgame.problem.given import given_of
    from mallocgame.programs.loading import load

    if solver == "auto":
        raise BadInputError(
            "auto is not one solver but the whole way: call api.auto, or `mallocgame solve --solver auto`"
        )
    if solver is not None and solver not in solvers.SOLVERS:
        raise BadInputError(f"unknown solver {solver!r}; known: {', '.join(solvers.SOLVERS)}")
    check_time_limit(time_limit)
    if out is not None:
        check_writable(out)
    start = monotonic()
    loaded = load(file, target, module=module, given=given_of(kernels, trips), progress=progress or silent)
    if progress is not None:
        tensors = f"{loaded.problem.module}: {len(loaded.problem.tensors)} tensors"
        progress(
            Stage(f"{tensors}; solving for at most {time_limit:g} s, after compiling native code at the first use")
        )
    compared = None if solver is not None or is_capture(loaded.source) else foresight_of(loaded, seed)
    objective = objective or ("M" if compared is None else "both")
    solver = solver or "local"
    cycles, default_seconds = loaded.model_e() if compared is None and objective != "M" else (None, None)
    if compared is not None:
        cycles, default_seconds = compared.cycles, (compared.default.e_seconds, compared.default.m_seconds)
    solution = solvers.solve(
        loaded.problem,
        solver=solver,
        time_limit=time_limit,
        seed=seed,
        final=loaded.final,
        default=loaded.default,
        progress=progress,
        objective=objective,
        cycles=cycles,
        default_seconds=default_seconds,
    )
    violations = validate(loaded.problem, solution.plan)
    if violations:
        raise MallocgameError(f"solver {solver} gave an invalid plan ({violations[0].message}); please report this")
    named = name_plan(
        loaded.problem,
        solution.plan,
        solver=solver,
        seed=seed,
        options={
            "time_limit": time_limit,
            "objective": objective,
            "costs": loaded.problem.costs,
            FILE_OPTION: loaded.source,
            **loaded.given.recorded(),
        },
        versions=loaded.versions,
        scoped_vmem_kib=loaded.scoped_vmem_kib,
    )
    judged = None if compared is None else compared.verdict(solution.plan)
    if out is not None and judged in (None, "better"):
        save_plan(named, out)
    return Solved(loaded, solution, named, monotonic() - start, compared, judged)


def auto(
    file: PathLike,
    *,
    target: str | None = None,
    module: str | None = None,
    time_limit: float = 60.0,
    compiles: int = 8,
    compile_time: float | None = None,
    objective: Objective = "both",
    strict: bool = False,
    probe: bool = False,
    start_from: PathLike | None = None,
    seed: int = 0,
    kernels: Mapping[str, float] | None = None,
    trips: Trips | None = None,
    out: PathLike | None = None,
    cache: PathLike = "out/compiles",
    progress: Progress | None = None,
) -> Automatic:
    """Propose, recompile, read back, correct the model, propose again: the best program that the compiler confirms.

    The answer is never worse than XLA's default. Ctrl-C ends it with the best so far. The same call goes on where an
    interrupted one stopped, for finished compiles are kept. Where ``file`` has no program to compile, or no compiler is
    installed, the answer is a plan that nothing has confirmed, and it is not written unless it is predicted better.

    Args:
        file: as ``solve``.
        target: likewise.
        module: likewise.
        time_limit: seconds of search; compiles come on top.
        compiles: how many, other splits and refused ones included.
        compile_time: seconds that these may take in all, a cached one as long as it took; None for no such bound.
        objective: what the answer is best under, of all programs that beat XLA's default.
        strict: whether another memory split may not lose under M.
        probe: run the answer beside XLA's default on the device at hand, which has to be the target, and keep it only
            if it is surely faster there.
        start_from: an answer (``out`` of another call) for another version of the compiler, or for the program as it
            was before a change. What of it is found again is compiled first, and the search goes on from there.
        seed: of all random choices.
        kernels: as ``solve``.
        trips: likewise.
        out: where to write the answer: a plan file where it is a plan, else a file of compiler options.
        cache: folder of finished compiles.
        progress: called with one line at each step.

    Raises:
        BadInputError: the file cannot be used, the budgets are out of range, ``out`` cannot be written, or
            ``start_from`` is no answer, for another target, or for a program that cannot be compiled here.
        xla_dump_parser.ParseError: the text is damaged.
    """
    from mallocgame.compiler.cache import CompileCache
    from mallocgame.optimizer.automatic import solve_automatically
    from mallocgame.optimizer.by_measuring import capture_for_device, choose_by_measuring
    from mallocgame.optimizer.knowledge.choice import Choice
    from mallocgame.optimizer.start import load_start
    from mallocgame.plan.named_plan import NamedPlan
    from mallocgame.plan.options_file import save_options
    from mallocgame.plan.plan_file import save_plan
    from mallocgame.problem.given import given_of
    from mallocgame.problem.target_file import is_target_file
    from mallocgame.programs.loading import load

    check_time_limit(time_limit)
    if compile_time is not None:
        check_time_limit(compile_time, "compile time")
    if target is not None and is_target_file(target):
        raise BadInputError(f"{target}: auto goes by the compiler's own models; a target file is for the other solvers")
    if compiles < 0:
        raise BadInputError(f"the budget of compiles cannot be negative, as {compiles} is")
    if out is not None:
        check_writable(out)
    start = None if start_from is None else load_start(start_from)
    capture = capture_for_device(Path(file)) if probe else None
    found = solve_automatically(
        load(file, target, module=module, given=given_of(kernels, trips), progress=progress or silent),
        CompileCache(cache),
        asked=_asked(file, cache),
        time_limit=time_limit,
        compiles=compiles,
        compile_time=compile_time,
        seed=seed,
        choice=Choice(objective, strict),
        start=start,
        progress=progress or silent,
    )
    if capture is not None:
        found = choose_by_measuring(found, capture, seed=seed, progress=progress or silent)
    if out is not None and found.is_written:
        if isinstance(found.answer, NamedPlan):
            save_plan(found.answer, out)
        else:
            save_options(found.answer, out)
    return found


def _asked(file: PathLike, cache: PathLike) -> Asked:
    from mallocgame.optimizer.automatic import Asked
    from mallocgame.system.files import digest_of_file

    path = Path(file)
    name = str(path.absolute()) if path.exists() else os.fspath(file)
    return Asked(name, digest_of_file(path), str(Path(cache).absolute()))


def solve_all(
    file: PathLike,
    *,
    out: PathLike,
    target: str | None = None,
    solver: str | None = None,
    time_limit: float = 30.0,
    compiles: int = 8,
    compile_time: float | None = None,
    objective: Objective | None = None,
    strict: bool = False,
    seed: int = 0,
    cache: PathLike = "out/compiles",
    engine: Engine = "processes",
    processes: int | None = None,
    progress: Progress | None = None,
) -> SeveralSolved:
    """``solve`` for each program of a folder or a glob, in a process of its own; what ``out`` has is not done again.

    Args:
        file: a folder of such files and dump folders (``mallocgame.batch.find``), or a glob.
        out: folder of the plans and ``results.jsonl``. A job with other options or other content is done anew.
        target: as ``solve``, like all up to ``cache``; those that ``solve`` does not have are as ``auto`` has them.
        engine: this machine, or a Ray cluster whose nodes see the files under the same paths.
        processes: how many at a time; None for one a CPU.
        progress: called with a line for each job that starts or ends.

    Raises:
        BadInputError: there are no programs, ``out`` cannot be used or another run uses it, or options are bad.
    """
    from mallocgame import batch, solvers
    from mallocgame.batch.options import job_limit, options_of
    from mallocgame.problem.targets import get_target

    if target is not None:
        get_target(target)
    if solver not in (None, *solvers.SOLVERS, "auto"):
        raise BadInputError(f"unknown solver {solver!r}; known: {', '.join(solvers.SOLVERS)}, auto")
    check_time_limit(time_limit)
    if compile_time is not None:
        check_time_limit(compile_time, "compile time")
    options = options_of(
        target=target,
        solver=solver,
        time_limit=time_limit,
        compiles=compiles,
        compile_time=compile_time,
        objective=objective,
        strict=strict,
        seed=seed,
    )
    return batch.solve_all(
        batch.find_programs(file),
        options,
        Path(out),
        limit=job_limit(time_limit, compiles if solver in (None, "auto") else 0),
        engine=engine,
        processes=processes,
        apart=("--cache", str(Path(cache).absolute())),
        progress=progress or silent,
    )
