"""The commands as functions of the same names. JAX is imported only in the compiler's child process.

For a JAX program in one line see ``mallocgame.optimize``.

from mallocgame import api

api.capture("my_package.models:unet", target="v5p", out="unet.mgz")
solved = api.solve("unet.mgz", out="plan.json")
print(api.export("plan.json", "python"))
print(api.verify("plan.json", "unet.mgz").best)
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, get_args

from mallocgame.errors import BadInputError, MallocgameError
from mallocgame.files import check_writable
from mallocgame.objective import Objective
from mallocgame.progress import Progress, silent

if TYPE_CHECKING:
    from mallocgame.batch import Engine
    from mallocgame.batch import Outcome as SeveralSolved
    from mallocgame.bench.methods import Settings
    from mallocgame.bench.replay_row import Compared
    from mallocgame.bench.run import Outcome
    from mallocgame.compiler import Capture, Verification
    from mallocgame.inspection import Inspection
    from mallocgame.loading import Loaded
    from mallocgame.loop.automatic import Automatic
    from mallocgame.offload.residuals import Build
    from mallocgame.offload.run import Offloaded, Verified
    from mallocgame.offload.solver_name import SolverName
    from mallocgame.options_file import ProgramOptions
    from mallocgame.packing import Packing
    from mallocgame.plan_file import NamedPlan
    from mallocgame.probe.measure import Probe
    from mallocgame.problem.target_file import MeasuredTarget
    from mallocgame.report.comparison import Comparison
    from mallocgame.solvers import Solution

PathLike = str | os.PathLike[str]
ExportFormat = Literal["compiler-options", "libtpu-init-args", "python"]
ReportFormat = Literal["html", "svg", "png", "trace"]


@dataclass(frozen=True)
class Solved:
    """A validated plan and how it was found.

    Attributes:
        loaded: what was solved.
        solution: the plan, the solver's name and status, seconds under M of the plan and of everything in HBM.
        named: what a plan file holds.
        seconds: wall time, reading the program included.
    """

    loaded: Loaded
    solution: Solution
    named: NamedPlan
    seconds: float


def capture(
    reference: str,
    *,
    target: str,
    out: PathLike,
    workload: bool = False,
    scoped_vmem_kib: int | None = None,
    calibrate: int = 0,
    progress: Progress | None = None,
) -> Capture:
    """Compile a function for a target and keep what is needed in one file.

    Args:
        reference: ``MODULE:FUNCTION``, the path of a saved lowered module (StableHLO text, ``*.mlir``), or with
            ``workload`` the name of one of ``workloads.names()``. The function takes nothing and returns
            (function, abstract arguments).
        target: e.g. ``"v5p"``.
        out: the capture file to write.
        scoped_vmem_kib: the memory split: KiB of VMEM for fusions' own windows; None for the compiler's default.
        calibrate: how many compiles more are to teach the capture what instructions cost under other placements. It
            is written before them, and again after them.
        progress: called with one line for each of these.

    Raises:
        BadInputError: unknown target, workload or function, or ``out`` cannot be written.
        CompilerRefusedError: the program does not compile.
        NoAnswerError: not within the limits of time and memory.
    """
    from mallocgame.calibration import calibrate as calibration
    from mallocgame.compiler import capture as compile_and_keep
    from mallocgame.compiler import save_capture
    from mallocgame.problem.targets import get_target

    get_target(target)
    if calibrate < 0:
        raise BadInputError(f"the number of calibrating compiles cannot be {calibrate}")
    check_writable(out)
    options = {} if scoped_vmem_kib is None else {"xla_tpu_scoped_vmem_limit_kib": str(scoped_vmem_kib)}
    kept = compile_and_keep(_reference(reference, workload), None, target, out, options=options)
    if calibrate:
        kept = calibration.calibrate(kept, calibrate, progress=progress or silent)
        save_capture(kept, out)
    return kept


def solve(
    file: PathLike,
    *,
    target: str | None = None,
    solver: str = "local",
    time_limit: float = 30.0,
    seed: int = 0,
    objective: Objective = "M",
    out: PathLike | None = None,
    progress: Progress | None = None,
) -> Solved:
    """Find a plan for FILE, check it, and write it to ``out`` if given.

    Args:
        file: a capture, a problem file, a dump folder or an HLO text. A text needs ``target``; its costs are analytic.
        target: a name, or a target file that ``calibrate`` wrote: measured figures in place of the table's.
        solver: one of ``mallocgame.solvers.SOLVERS``.
        time_limit: seconds for the solver.
        seed: the same seed, file and options give the same moves.
        objective: what the plan is to be quick under.
        progress: called with one line now and then.

    Raises:
        BadInputError: the file cannot be used, or target or solver are unknown.
        NoAnswerError: the solver found nothing.
        xla_dump_parser.ParseError: the text is damaged.
    """
    from mallocgame import solvers
    from mallocgame.loading import load
    from mallocgame.named_plan import FILE_OPTION
    from mallocgame.plan_file import name_plan, save_plan
    from mallocgame.validate import validate

    if solver == "auto":
        raise BadInputError(
            "auto is not one solver but the whole way: call api.auto, or `mallocgame solve --solver auto`"
        )
    if solver not in solvers.SOLVERS:
        raise BadInputError(f"unknown solver {solver!r}; known: {', '.join(solvers.SOLVERS)}")
    _check_time_limit(time_limit)
    if out is not None:
        check_writable(out)
    start = monotonic()
    loaded = load(file, target)
    if progress is not None:
        progress(
            f"{loaded.problem.module}: {len(loaded.problem.tensors)} tensors; solving for at most {time_limit:g} s"
        )
    cycles, default_seconds = loaded.model_e() if objective != "M" else (None, None)
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
        },
        versions=loaded.versions,
        scoped_vmem_kib=loaded.scoped_vmem_kib,
    )
    if out is not None:
        save_plan(named, out)
    return Solved(loaded, solution, named, monotonic() - start)


def auto(
    file: PathLike,
    *,
    target: str | None = None,
    time_limit: float = 60.0,
    compiles: int = 8,
    objective: Objective = "both",
    strict: bool = False,
    probe: bool = False,
    seed: int = 0,
    out: PathLike | None = None,
    cache: PathLike = "out/compiles",
    progress: Progress | None = None,
) -> Automatic:
    """Propose, recompile, read back, correct the model, propose again: the best program that the compiler confirms.

    The answer is never worse than XLA's default. Ctrl-C ends it with the best so far. The same call goes on where an
    interrupted one stopped, for finished compiles are kept. Where ``file`` is no capture, or no compiler is installed,
    the answer is a plan that nothing has confirmed.

    Args:
        file: as ``solve``.
        target: likewise.
        time_limit: seconds of search; compiles come on top.
        compiles: how many, other splits and refused ones included.
        objective: what the answer is best under, of all programs that beat XLA's default.
        strict: whether another memory split may not lose under M.
        probe: run the answer beside XLA's default on the device at hand, which has to be the target, and keep it only
            if it is surely faster there.
        seed: of all random choices.
        out: where to write the answer: a plan file where it is a plan, else a file of compiler options.
        cache: folder of finished compiles.
        progress: called with one line at each step.

    Raises:
        BadInputError: the file cannot be used, the budgets are out of range, or ``out`` cannot be written.
        xla_dump_parser.ParseError: the text is damaged.
    """
    from mallocgame.compiler.cache import CompileCache
    from mallocgame.loading import load
    from mallocgame.loop import Choice
    from mallocgame.loop.automatic import solve_automatically
    from mallocgame.named_plan import NamedPlan
    from mallocgame.options_file import save_options
    from mallocgame.plan_file import save_plan
    from mallocgame.probe.hybrid import capture_for_device, choose_by_measuring
    from mallocgame.problem.target_file import is_target_file

    _check_time_limit(time_limit)
    if target is not None and is_target_file(target):
        raise BadInputError(f"{target}: auto goes by the compiler's own models; a target file is for the other solvers")
    if compiles < 0:
        raise BadInputError(f"the budget of compiles cannot be negative, as {compiles} is")
    if out is not None:
        check_writable(out)
    capture = capture_for_device(Path(file)) if probe else None
    found = solve_automatically(
        load(file, target),
        CompileCache(cache),
        time_limit=time_limit,
        compiles=compiles,
        seed=seed,
        choice=Choice(objective, strict),
        progress=progress or silent,
    )
    if capture is not None:
        found = choose_by_measuring(found, capture, seed=seed, progress=progress or silent)
    if out is not None and isinstance(found.answer, NamedPlan):
        save_plan(found.answer, out)
    elif out is not None and not isinstance(found.answer, NamedPlan):
        save_options(found.answer, out)
    return found


def solve_all(
    file: PathLike,
    *,
    out: PathLike,
    target: str | None = None,
    solver: str = "local",
    time_limit: float = 30.0,
    compiles: int = 8,
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
        file: a folder of captures, problem files, HLO texts (``.hlo``, ``.hlo.gz``) and dump folders, or a glob.
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
    if solver not in (*solvers.SOLVERS, "auto"):
        raise BadInputError(f"unknown solver {solver!r}; known: {', '.join(solvers.SOLVERS)}, auto")
    _check_time_limit(time_limit)
    options = options_of(
        target=target,
        solver=solver,
        time_limit=time_limit,
        compiles=compiles,
        objective=objective,
        strict=strict,
        seed=seed,
    )
    return batch.solve_all(
        batch.find_programs(file),
        options,
        Path(out),
        limit=job_limit(time_limit, compiles if solver == "auto" else 0),
        engine=engine,
        processes=processes,
        apart=("--cache", str(Path(cache).absolute())),
        progress=progress or silent,
    )


def export(plan: PathLike | NamedPlan | ProgramOptions, format: ExportFormat = "compiler-options") -> str:
    """A plan, or an answer that is none, as text: JSON of compiler options, one LIBTPU_INIT_ARGS line, or Python.

    Raises:
        BadInputError: the plan file is damaged, or the format is unknown.
    """
    from mallocgame import export as exporter
    from mallocgame.named_plan import NamedPlan
    from mallocgame.offload.moves_file import is_moves_file, load_moves
    from mallocgame.options_file import load_answer

    if format not in get_args(ExportFormat):
        raise BadInputError(f"unknown format {format!r}; known: {', '.join(get_args(ExportFormat))}")
    if isinstance(plan, str | os.PathLike) and is_moves_file(plan):
        if format != "python":
            raise BadInputError(f"{plan}: a plan of the offload game is a policy: use --format python")
        return load_moves(plan).moves.to_python()
    answer = load_answer(plan) if isinstance(plan, str | os.PathLike) else plan
    program = answer if isinstance(answer, NamedPlan) else answer.options
    if format == "python":
        return exporter.to_python(program)
    if format == "libtpu-init-args":
        return exporter.to_libtpu_init_args(program)
    return exporter.to_json(program)


def verify(
    plan: PathLike | NamedPlan, capture: PathLike | Capture, *, progress: Progress | None = None
) -> Verification:
    """Recompile with the plan's flags, read the placements back, and replay E and M for XLA's default and the plan.

    Raises:
        BadInputError: a damaged plan or capture, or a plan for another program.
        CompilerRefusedError: the compiler refused the plan, relaxed ones included.
    """
    from mallocgame import compiler
    from mallocgame.plan_file import load_plan

    named = load_plan(plan) if isinstance(plan, str | os.PathLike) else plan
    kept = compiler.load_capture(capture) if isinstance(capture, str | os.PathLike) else capture
    return compiler.verify(named, kept, progress=progress or silent)


def inspect(file: PathLike, *, target: str | None = None) -> Inspection:
    """Tensors, sizes, peak, headroom and the ten costliest instructions of a file that ``solve`` takes.

    Raises:
        BadInputError: the file cannot be used.
        xla_dump_parser.ParseError: the text is damaged.
    """
    from mallocgame.inspection import inspect_problem
    from mallocgame.loading import load

    loaded = load(file, target)
    return inspect_problem(loaded.problem, loaded.default_seconds())


@dataclass(frozen=True)
class Reported:
    """A report that was written.

    Attributes:
        out: where.
        format: what it is.
        size: bytes.
        comparison: what it shows.
    """

    out: Path
    format: ReportFormat
    size: int
    comparison: Comparison


def report(
    plan: PathLike,
    file: PathLike | None = None,
    *,
    format: ReportFormat = "html",
    out: PathLike | None = None,
    verify: bool = False,
    cache: PathLike = "out/compiles",
    progress: Progress | None = None,
) -> Reported:
    """Write what a plan does beside XLA's default: a page, a picture, or a trace for Perfetto.

    Args:
        plan: a plan file.
        file: of its program, as ``solve`` takes it; None for the one that the plan says it was solved from.
        format: a self-contained HTML page, the memory maps as a picture, or both timelines in Chrome's trace format.
        out: None for the plan's path with the format's suffix.
        verify: recompile first, and show what the compiler makes of the plan; ``file`` has to be a capture.
        cache: folder of finished compiles, for ``verify``.
        progress: called with one line at each step.

    Raises:
        BadInputError: a file cannot be used or written, or is for another program; a picture without matplotlib.
        CompilerRefusedError, NoAnswerError: as ``verify``.
        xla_dump_parser.ParseError: ``file`` is damaged.
    """
    from mallocgame.files import write_atomically
    from mallocgame.report.rendering import SUFFIXES, render

    if format not in get_args(ReportFormat):
        raise BadInputError(f"unknown format {format!r}; known: {', '.join(get_args(ReportFormat))}")
    path = Path(plan).with_suffix(SUFFIXES[format]) if out is None else Path(out)
    check_writable(path)
    comparison = _compared(plan, file, verify, cache, progress)
    data = render(comparison, format, str(plan))
    write_atomically(path, data)
    return Reported(path, format, len(data), comparison)


def explain(
    plan: PathLike,
    file: PathLike | None = None,
    *,
    verify: bool = False,
    cache: PathLike = "out/compiles",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What a plan moves and why it pays, what is left and what bounds it; the JSON document of the command.

    ``mallocgame.report.text.lines_of`` says it in words. Arguments and errors are those of ``report``.
    """
    from mallocgame.report.explanation import of_comparison

    return of_comparison(_compared(plan, file, verify, cache, progress))


def _compared(
    plan: PathLike, file: PathLike | None, verify: bool, cache: PathLike, progress: Progress | None
) -> Comparison:
    from mallocgame.compiler.cache import CompileCache
    from mallocgame.report.inputs import Confirm, read_comparison

    return read_comparison(plan, file, Confirm(CompileCache(cache)) if verify else None, progress or silent)


def bench(
    workloads: Sequence[str] = (),
    targets: Sequence[str] = (),
    methods: Sequence[str] = (),
    solvers: Sequence[str] = (),
    *,
    settings: Settings | None = None,
    captures: PathLike = "out/captures",
    out: PathLike = "out/bench",
    progress: Progress | None = None,
) -> Outcome:
    """Run every method on every workload and target that has no row in ``out`` yet, and write rows and tables there.

    Args:
        workloads: names; all 52 of the benchmark if empty.
        targets: names; v4 lite and v5p if empty.
        methods: ``"xla default"``, ``"msa off"``, ``"flag tuning"``, ``"auto"``, solvers; if empty the first three and
            ``solvers``.
        solvers: more columns; ``"local"`` if both are empty.
        settings: seed, time limit and compiles.
        captures: folder of captures; missing ones are made.
        out: folder of ``rows.jsonl`` and the tables. Finished compiles are kept beside it, in ``compiles``.
        progress: called with one line at each step.

    Raises:
        BadInputError: an unknown name, a folder that cannot be used, rows or captures of other versions.
    """
    from mallocgame.bench.methods import Settings
    from mallocgame.bench.run import run
    from mallocgame.bench.selection import select
    from mallocgame.bench.store import CaptureStore
    from mallocgame.compiler.cache import CompileCache

    selection = select(workloads, targets, methods, solvers, settings or Settings())
    cache = CompileCache(Path(out).parent / "compiles")
    return run(selection, CaptureStore(Path(captures)), cache, Path(out), progress or silent)


def replay(row: str, *, captures: PathLike = "out/captures", progress: Progress | None = None) -> Compared:
    """Compile a row of ``bench`` again, ``FILE:LINE``, and compare every figure to the last digit.

    Raises:
        BadInputError: there is no such row, or it is of other versions of jax, jaxlib or libtpu.
        CompilerRefusedError, NoAnswerError: as ``capture``.
    """
    from mallocgame.bench.replay_row import replay_row
    from mallocgame.bench.rows_file import read_row
    from mallocgame.bench.store import CaptureStore

    return replay_row(read_row(row), CaptureStore(Path(captures)), progress or silent)


def offload(
    program: str | Build,
    *,
    target: str,
    budget: str,
    solver: SolverName = "exact",
    time_limit: float = 30.0,
    seed: int = 0,
    compiles: int = 8,
    link: PathLike | None = None,
    out: PathLike | None = None,
    cache: PathLike = "out/compiles",
    progress: Progress | None = None,
) -> Offloaded:
    """Which named residuals of a JAX program to keep, to offload to the host and to recompute, for a memory budget.

    JAX is imported in this process, for tracing. For a TPU target the compiler confirms the answer, in a child process:
    the quickest program under M that it fits into the budget. For other devices the answer is the model's.

    Args:
        program: ``MODULE:FUNCTION`` of a builder, or the builder itself (docs/offload.md): it takes what to wrap each
            block in, and returns (step, abstract arguments). Or a file that ``solve`` takes, for GPUs an HLO text: then
            there is a ``solution`` by the model, and no ``answer`` that could be exported.
        target: a TPU target, or a device of ``mallocgame.offload.links.LINKS``.
        budget: bytes of device memory, or a share of what XLA's default needs, e.g. ``"50%"``.
        solver: one of ``mallocgame.offload.solver_name.SOLVERS``.
        time_limit: seconds of each solve.
        seed: of random choices.
        compiles: how many, XLA's default included.
        link: a file of measured rates (`mallocgame.offload.links.read_link`) instead of the table.
        out: where to write the plan.
        cache: folder of finished compiles.
        progress: called with one line at each step.

    Returns:
        ``answer.moves.policy`` is the policy for ``jax.checkpoint``; without an answer nothing is written.

    Raises:
        BadInputError: the program, the target, the budget or a file cannot be used.
        CompilerRefusedError, NoAnswerError: there is no compiler, or a compile takes too long.
    """
    from mallocgame.offload import run
    from mallocgame.offload.moves_file import save_moves

    _check_time_limit(time_limit)
    if out is not None:
        check_writable(out)
    found = run.offload(
        program,
        target,
        budget,
        solver=solver,
        time_limit=time_limit,
        seed=seed,
        compiles=compiles,
        link=link,
        cache=cache,
        progress=progress or silent,
    )
    if out is not None and found.answer is not None:
        save_moves(found.answer, out)
    return found


def verify_offload(
    plan: PathLike, program: str | Build, *, link: PathLike | None = None, cache: PathLike = "out/compiles"
) -> Verified:
    """Compile a program under a plan of ``offload``, and read back its host copies and its device memory.

    Raises:
        BadInputError: a damaged plan, or a program that cannot be used.
        CompilerRefusedError: the compiler refused the plan.
    """
    from mallocgame.offload import run
    from mallocgame.offload.moves_file import load_moves

    return run.verify(load_moves(plan), program, link=link, cache=cache)


def pack(
    file: PathLike,
    *,
    capacity: int | None = None,
    time_limit: float = 60.0,
    seed: int = 0,
    out: PathLike | None = None,
    progress: Progress | None = None,
) -> Packing:
    """Find offsets for the buffers of a CSV file, and write its rows with a column ``offset`` to ``out`` if given.

    Args:
        file: columns as `mallocgame.packing.csv_file` describes them.
        capacity: bytes; None for the smallest that can be found. Then Ctrl-C ends the search as the time limit does.
        time_limit: seconds; the native code, compiled at the first use, is apart.
        seed: the same seed and file give the same answer, unless the time limit ends the search.
        progress: called with one line now and then.

    Returns:
        Without offsets if there is no packing, or none was found; nothing is written then.

    Raises:
        BadInputError: the file cannot be used, or ``out`` cannot be written.
        NoAnswerError: fixed offsets overlap, and no capacity was given.
    """
    from mallocgame import packing

    if out is not None:
        check_writable(out)
    table = packing.read_csv(file)
    seconds = packing.compile_native()
    if progress is not None:
        progress(f"{len(table.buffers)} buffers; native code ready in {seconds:.1f} s")
    if capacity is None:
        found = packing.minimise(table.buffers, time_limit=time_limit, seed=seed, progress=progress)
    else:
        found = packing.pack(table.buffers, capacity, time_limit=time_limit, seed=seed)
    if out is not None and found.offsets is not None:
        packing.write_csv(out, table, found.offsets)
    return found


def train(
    config: PathLike, *, out: PathLike, resume: bool = False, progress: Progress | None = None
) -> dict[str, str | int]:
    """Train the agent by self-play, in this process: JAX is imported.

    Args:
        config: a TOML file, see ``muzero.training.config``.
        out: folder for checkpoints, metrics, the best episodes and the agent; made if missing.
        resume: go on from the newest whole checkpoint in ``out``; else there may be none.
        progress: called with one line an iteration.

    Returns:
        What was done: iterations, positions in the replay, folder.

    Raises:
        BadInputError: JAX or another package is missing, or the config, the folder or its checkpoints cannot be used.
        MallocgameError: a loss is not finite.
    """
    try:
        from muzero.precision import double_precision

        with double_precision():
            from muzero.answer.compiled import keep_compiled
            from muzero.training.config import load_config
            from muzero.training.train import train as run

            keep_compiled()
            job = run(load_config(config), Path(out), resume=resume, progress=progress or silent)
    except ModuleNotFoundError as error:
        raise BadInputError(f"training needs {error.name}: pip install 'mallocgame[train]'") from None
    return {
        "command": "train",
        "folder": str(out),
        "iterations": job.iteration,
        "updates": int(job.learner.updates),
        "positions": job.replay.positions,
    }


def probe(
    programs: Sequence[PathLike],
    *,
    time_limit: float = 60.0,
    margin: float = 0.01,
    inputs: PathLike | None = None,
    seed: int = 0,
    out: PathLike | None = None,
    progress: Progress | None = None,
) -> Probe:
    """Run programs on the device that JAX has, side by side, and say which is the fastest.

    Ctrl-C gives what is known so far.

    Args:
        programs: two or more, the first is what the others are compared with. Each is ``MODULE:FUNCTION`` (which
            returns (function, arguments); arrays among the arguments are used as they are), a capture, a lowered module
            (``*.mlir``), or a JSON file for the program before it: a plan, an answer of ``auto``, or compiler options.
        time_limit: seconds of measuring; compiling comes on top.
        margin: share by which a program has to differ, beyond doubt, to be called faster or slower.
        inputs: file of ``numpy.savez(path, *arrays)``: real inputs for the programs that bring none; else made up.
        seed: of made-up inputs and of the order of the runs.
        out: where to write the result with every sample.
        progress: called with one line at each step.

    Raises:
        BadInputError: a program cannot be used, is for another device, or ``out`` cannot be written.
        CompilerRefusedError: a program does not compile, or its process died.
        NoAnswerError: it does not fit on the device, or takes too long.
    """
    from mallocgame.probe.measure import measure
    from mallocgame.probe.programs import programs_of
    from mallocgame.probe.result_file import save_result

    _check_time_limit(time_limit)
    if not 0 < margin < 1:
        raise BadInputError(f"the margin has to be a share between 0 and 1, not {margin}")
    if out is not None:
        check_writable(out)
    found = measure(
        programs_of(programs),
        time_limit=time_limit,
        margin=margin,
        seed=seed,
        inputs=None if inputs is None else os.path.abspath(inputs),
        progress=progress or silent,
    )
    if out is not None:
        save_result(found, out)
    return found


def calibrate(
    programs: Sequence[PathLike] = (),
    *,
    out: PathLike,
    time_limit: float = 60.0,
    inputs: PathLike | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> MeasuredTarget:
    """Measure the memories of the device that JAX has, and write a target file that ``solve`` takes as ``target``.

    Args:
        programs: as ``probe``; their instructions are timed one by one, where JAX's profiler can.
        out: the file.
        time_limit: seconds for the memories.
        inputs: as ``probe``.
        seed: of made-up inputs.
        progress: called with one line at each step.

    Raises:
        BadInputError, CompilerRefusedError, NoAnswerError: as ``probe``.
    """
    from mallocgame.probe.calibrate import calibrate as measure_target
    from mallocgame.probe.programs import programs_of
    from mallocgame.problem.target_file import save_target

    _check_time_limit(time_limit)
    check_writable(out)
    found = measure_target(
        programs_of(programs),
        seconds=time_limit,
        seed=seed,
        inputs=None if inputs is None else os.path.abspath(inputs),
        progress=progress or silent,
    )
    save_target(found, out)
    return found


def _check_time_limit(time_limit: float) -> None:
    if not (math.isfinite(time_limit) and time_limit > 0):
        raise BadInputError(f"the time limit has to be a positive number of seconds, not {time_limit}")


def _reference(reference: str, workload: bool) -> str:
    """MODULE:FUNCTION of what to capture."""
    if not workload and reference.endswith(".mlir"):
        return reference
    if not workload:
        module, colon, function = reference.partition(":")
        if not (module and colon and function):
            raise BadInputError(f"{reference!r} is not MODULE:FUNCTION; for a workload use --workload NAME")
        return reference
    import workloads

    try:
        return workloads.find(reference).reference
    except KeyError as error:
        raise BadInputError(error.args[0]) from None
