"""The command line: each command calls the function of the same name in ``mallocgame.api``.

stdout has the result, and with --json one JSON document; progress and errors go to stderr. Exit codes: 0 done, 1 a bug
of ours, 2 bad input, 3 no answer within the limits or not for all of several programs, 4 the compiler refused, 130
interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter

import mallocgame
import workloads
from mallocgame.api import ExportFormat, ReportFormat
from mallocgame.errors import BadInputError, MallocgameError, NoAnswerError
from mallocgame.objective import Objective
from mallocgame.offload.solver_name import SolverName
from mallocgame.printable import printable

TRACEBACK = "MALLOCGAME_TRACEBACK"
"""Environment variable: a bug of ours shows where it happened, for a report."""
BUG, BAD_INPUT, NO_ANSWER, INTERRUPTED = 1, 2, 3, 130
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})
"""What the system answers when a disk is full, broken or read-only, or too much is open: no bug of ours."""

app = App(
    name="mallocgame",
    help="Plan which tensor of an XLA program lives in a TPU's fast memory, and prove it with the real compiler.",
    version=mallocgame.__version__,
    help_format="plaintext",
)

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document.")]
Target = Annotated[str | None, Parameter(help="v4 lite, v4, v5e, v5p, v6e, tpu7x, or a file of probe --calibrate.")]


@app.command
def capture(
    reference: Annotated[str | None, Parameter(name="MODULE:FUNCTION")] = None,
    /,
    *,
    target: Annotated[str, Parameter(help="v4 lite, v4, v5e, v5p, v6e or tpu7x.")],
    out: Path,
    workload: Annotated[
        str | None, Parameter(help=f"Instead of MODULE:FUNCTION, one of: {', '.join(workloads.names())}.")
    ] = None,
    scoped_vmem_kib: Annotated[
        int | None, Parameter(help="Memory split: KiB of VMEM for fusions' own windows, if not the compiler's default.")
    ] = None,
    calibrate: Annotated[
        int, Parameter(help="Compiles more, to learn what instructions cost under other placements.")
    ] = 0,
    json: Json = False,
) -> None:
    """Compile a JAX function for a target and keep what the other commands need in one file.

    MODULE:FUNCTION takes no arguments and returns (function, abstract arguments); a saved lowered module (StableHLO
    text, FILE.mlir) does as well.
    """
    from mallocgame import api
    from mallocgame.report import documents

    if (reference is None) == (workload is None):
        raise BadInputError("give either MODULE:FUNCTION (or FILE.mlir) or --workload NAME")
    _progress(f"compiling {reference or workload} for {target}")
    kept = api.capture(
        reference or workload or "",
        target=target,
        out=out,
        workload=workload is not None,
        scoped_vmem_kib=scoped_vmem_kib,
        calibrate=calibrate,
        progress=_progress,
    )
    documents.show(documents.of_capture(kept, out), json)


@app.command
def solve(
    file: Annotated[
        Path,
        Parameter(
            help="A capture, a problem file (.mgp), a dump folder, or an HLO text (plain or .gz); or several: a folder "
            "without the schedule of a dump stands for the .mgz, .mgp, .hlo, .hlo.gz and dump folders in it, a quoted "
            "glob for all that it matches."
        ),
    ],
    /,
    *,
    target: Target = None,
    solver: Annotated[str | None, Parameter(help="local if not given; auto with --probe.")] = None,
    time_limit: Annotated[float, Parameter(help="Seconds of search.")] = 30.0,
    compiles: Annotated[int, Parameter(help="Budget of auto: other splits and refused plans count.")] = 8,
    objective: Annotated[
        Objective | None, Parameter(help="What to be quick under; both for auto, M for other solvers.")
    ] = None,
    strict: Annotated[
        bool, Parameter(negative="", help="Auto's answer at another split may not lose under M.")
    ] = False,
    probe: Annotated[
        bool, Parameter(negative="", help="On the target itself: run auto's answer beside XLA's default and choose.")
    ] = False,
    seed: int = 0,
    cache: Annotated[Path, Parameter(help="Folder of auto's finished compiles.")] = Path("out/compiles"),
    out: Annotated[
        Path | None,
        Parameter(help="Where to write the plan, or auto's compiler options; for several programs, their folder."),
    ] = None,
    engine: Annotated[Literal["processes", "ray"], Parameter(help="Where several programs are solved.")] = "processes",
    processes: Annotated[
        int | None, Parameter(help="How many programs at a time; as many as there are CPUs if not given.")
    ] = None,
    json: Json = False,
) -> None:
    """Find a plan and check it. A text or a folder without a log gets analytic costs, and nothing is confirmed.

    The solver auto works on a capture with the real compiler: it proposes plans, memory splits and flags, recompiles,
    reads back and learns. Its answer is confirmed and never worse than XLA's default; Ctrl-C gives the best so far.

    Several programs are solved each in a process of its own; one that fails does not stop the others, and the same
    command goes on where an interrupted or killed one stopped.
    """
    from mallocgame import api
    from mallocgame.batch.find import is_batch
    from mallocgame.report import auto_document, batch_document, documents

    if is_batch(file):
        if probe:
            raise BadInputError(f"{file} stands for several programs: --probe runs the answer of one")
        if out is None:
            raise BadInputError(f"{file} stands for several programs: add --out FOLDER for their plans and results")
        outcome = api.solve_all(
            file,
            target=target,
            solver=solver or "local",
            time_limit=time_limit,
            compiles=compiles,
            objective=objective,
            strict=strict,
            seed=seed,
            cache=cache,
            out=out,
            engine=engine,
            processes=processes,
            progress=_progress,
        )
        documents.show(batch_document.of_batch(outcome), json)
        if outcome.failed:
            raise NoAnswerError(f"{len(outcome.failed)} of {len(outcome.results)} programs have no answer")
        return
    if probe and solver not in (None, "auto"):
        raise BadInputError(f"--probe goes with auto's answer, not with --solver {solver}")
    if solver == "auto" or probe:
        found = api.auto(
            file,
            target=target,
            time_limit=time_limit,
            compiles=compiles,
            objective=objective or "both",
            strict=strict,
            probe=probe,
            seed=seed,
            out=out,
            cache=cache,
            progress=_progress,
        )
        documents.show(auto_document.of_automatic(found, out), json)
        return
    solved = api.solve(
        file,
        target=target,
        solver=solver or "local",
        time_limit=time_limit,
        seed=seed,
        objective=objective or "M",
        out=out,
        progress=_progress,
    )
    documents.show(documents.of_solved(solved, out), json)


@app.command
def export(
    plan: Path,
    /,
    *,
    format: Annotated[ExportFormat, Parameter(help="What to print.")] = "compiler-options",
    json: Json = False,
) -> None:
    """Print a plan as flags of the compiler."""
    from mallocgame import api
    from mallocgame.report import documents

    text = api.export(plan, format)
    if json:
        documents.show({"command": "export", "format": format, "text": text}, True)
    else:
        print(text)


@app.command
def verify(
    plan: Path,
    capture: Annotated[Path, Parameter(help="The capture; for a plan of offload, its MODULE:FUNCTION.")],
    /,
    *,
    json: Json = False,
) -> None:
    """Recompile with the plan, read every placement back, and compare with XLA's default and with MSA off."""
    from mallocgame import api
    from mallocgame.compiler import load_capture
    from mallocgame.offload.moves_file import is_moves_file
    from mallocgame.plan_file import load_plan
    from mallocgame.report import documents, offload_document

    if is_moves_file(plan):
        _trace_on_the_cpu()
        documents.show(offload_document.of_verified(api.verify_offload(plan, str(capture))), json)
        return
    named, kept = load_plan(plan), load_capture(capture)
    verification = api.verify(named, kept, progress=_progress)
    documents.show(documents.of_verification(verification, kept.target), json)


Program = Annotated[
    Path | None, Parameter(help="What the plan was solved from, as solve takes it; the plan says where it was.")
]
Recompile = Annotated[
    bool,
    Parameter(negative="", help="Recompile first and show what the compiler makes of the plan; needs a capture."),
]
Compiles = Annotated[Path, Parameter(help="Folder of finished compiles, for --verify.")]


@app.command
def report(
    plan: Path,
    file: Program = None,
    /,
    *,
    format: Annotated[ReportFormat, Parameter(help="A page, a picture of the memory maps, or a trace.")] = "html",
    out: Annotated[Path | None, Parameter(help="Where to write it; beside the plan if not given.")] = None,
    verify: Recompile = False,
    cache: Compiles = Path("out/compiles"),
    json: Json = False,
) -> None:
    """Show what a plan does beside XLA's default: memory maps, stalls, bandwidth, what gains and loses, the flags.

    The page is one HTML file that needs no network. The trace opens in Perfetto (ui.perfetto.dev) or chrome://tracing.
    """
    from mallocgame import api
    from mallocgame.report import documents

    made = api.report(plan, file, format=format, out=out, verify=verify, cache=cache, progress=_progress)
    documents.show(documents.of_report(made, plan), json)


@app.command
def explain(
    plan: Path,
    file: Program = None,
    /,
    *,
    verify: Recompile = False,
    cache: Compiles = Path("out/compiles"),
    json: Json = False,
) -> None:
    """Say in words what a plan moves and why it pays, what is left, and what bounds it."""
    from mallocgame import api
    from mallocgame.report import documents

    documents.show(api.explain(plan, file, verify=verify, cache=cache, progress=_progress), json)


@app.command
def inspect(file: Path, /, *, target: Target = None, json: Json = False) -> None:
    """Tensors, sizes, peak, headroom and the ten costliest instructions."""
    from mallocgame import api
    from mallocgame.report import documents

    documents.show(documents.of_inspection(api.inspect(file, target=target)), json)


def _several(text: str) -> Parameter:
    """An option that takes any number of names."""
    return Parameter(consume_multiple=True, negative="", show_default=False, help=text)


@app.command
def bench(
    *,
    list_: Annotated[
        bool, Parameter(name="--list", negative="", show_default=False, help="Print workloads and captures.")
    ] = False,
    quick: Annotated[
        bool, Parameter(negative="", show_default=False, help="Six small programs for two targets, in minutes.")
    ] = False,
    capture_only: Annotated[
        bool, Parameter(negative="", show_default=False, help="Only make missing captures.")
    ] = False,
    replay: Annotated[str | None, Parameter(help="FILE:LINE of a row to compile again and compare.")] = None,
    workloads: Annotated[tuple[str, ...], _several("All 52 if not given.")] = (),
    targets: Annotated[tuple[str, ...], _several("v4 lite and v5p if not given.")] = (),
    methods: Annotated[
        tuple[str, ...], _several("Only these columns: xla default, msa off, flag tuning, auto, or solvers.")
    ] = (),
    solvers: Annotated[tuple[str, ...], _several("Columns; local if not given.")] = (),
    compiles: Annotated[int | None, Parameter(help="For each solver and flag tuning on a program; 6.")] = None,
    time_limit: Annotated[float | None, Parameter(help="Seconds for a solver on a program; 30.")] = None,
    objective: Annotated[Objective, Parameter(help="What auto's answers are best under.")] = "both",
    strict: Annotated[
        bool, Parameter(negative="", help="Auto's answers at other splits may not lose under M.")
    ] = False,
    seed: int = 0,
    captures: Annotated[Path, Parameter(help="Folder of captures; what is missing is made.")] = Path("out/captures"),
    out: Annotated[Path | None, Parameter(help="Folder of rows and tables; out/bench or out/bench-quick.")] = None,
    json: Json = False,
) -> None:
    """Compare XLA's default, MSA off, flag tuning and solvers on workloads x targets, in rows that can be replayed.

    What is there is not run again: after Ctrl-C the same command goes on. A capture that failed is not tried again
    while its .failed.json is there.
    """
    from mallocgame import api
    from mallocgame.bench import listing
    from mallocgame.bench.selection import QUICK, choose_settings, select
    from mallocgame.bench.store import CaptureStore
    from mallocgame.loop import Choice
    from mallocgame.report import documents

    choice = Choice(objective=objective, strict=strict)
    settings = choose_settings(quick, seed, time_limit, compiles, choice)
    names = workloads or (QUICK if quick else ())
    store = CaptureStore(captures)
    if list_:
        documents.show(listing.of_listing(store), json)
    elif replay is not None:
        compared = api.replay(replay, captures=captures, progress=_progress)
        documents.show(documents.of_replay(compared), json)
        if compared.differences:
            raise MallocgameError(f"{replay}: {', '.join(compared.differences)} differ")
    elif capture_only:
        wanted = select(names, targets, methods, solvers, settings)
        made = store.make_all(wanted.workloads, wanted.targets, _progress)
        documents.show(listing.of_captures(made, store), json)
    else:
        folder = out or Path("out/bench-quick" if quick else "out/bench")
        outcome = api.bench(
            names, targets, methods, solvers, settings=settings, captures=captures, out=folder, progress=_progress
        )
        documents.show(documents.of_bench(outcome), json)


@app.command
def offload(
    program: Annotated[str, Parameter(name="MODULE:FUNCTION", help="Or a capture or HLO text.")],
    /,
    *,
    target: Annotated[str, Parameter(help="A TPU target, or H100 SXM, H200, A100, L4.")],
    budget: Annotated[str, Parameter(help="Device memory: bytes, or a share of XLA's default such as 50%.")],
    solver: Annotated[SolverName, Parameter(help="greedy, local or exact.")] = "exact",
    time_limit: Annotated[float, Parameter(help="Seconds of each solve.")] = 30.0,
    compiles: Annotated[int, Parameter(help="Budget of compiles, XLA's default included.")] = 8,
    seed: int = 0,
    link: Annotated[Path | None, Parameter(help="Measured rates of the host link; the table's if not given.")] = None,
    cache: Annotated[Path, Parameter(help="Folder of finished compiles.")] = Path("out/compiles"),
    out: Annotated[Path | None, Parameter(help="Where to write the plan.")] = None,
    json: Json = False,
) -> None:
    """Decide which named residuals of a training step to keep, to offload to the host and to recompute.

    MODULE:FUNCTION takes what to wrap each block in, and returns (step, abstract arguments): see docs/offload.md. For
    TPU targets the compiler confirms device memory and host copies; for GPUs the answer is the model's. A capture or an
    HLO text instead shows what offloading its values could do, and exports nothing.
    """
    from mallocgame import api
    from mallocgame.report import documents, offload_document

    _trace_on_the_cpu()
    found = api.offload(
        program,
        target=target,
        budget=budget,
        solver=solver,
        time_limit=time_limit,
        seed=seed,
        compiles=compiles,
        link=link,
        out=out,
        cache=cache,
        progress=_progress,
    )
    document = offload_document.of_offloaded(found, target, out)
    found_nothing = found.answer is None and (found.solution is None or found.solution.plan is None)
    if json or not found_nothing:
        documents.show(document, json)
    if found_nothing:
        raise NoAnswerError(f"{program}: {document['notes'][0]}")


@app.command
def pack(
    file: Annotated[Path, Parameter(help="CSV: id, lower, upper, size; alignment, gaps, hint and offset if any.")],
    /,
    *,
    capacity: Annotated[int | None, Parameter(help="Bytes; the smallest that can be found if not given.")] = None,
    out: Annotated[Path | None, Parameter(help="Where to write the rows with a column offset.")] = None,
    time_limit: Annotated[float, Parameter(help="Seconds.")] = 60.0,
    seed: int = 0,
    json: Json = False,
) -> None:
    """Find offsets for buffers so that no two that are live at once share a byte, or prove that there are none."""
    from mallocgame import api
    from mallocgame.report import documents

    found = api.pack(file, capacity=capacity, time_limit=time_limit, seed=seed, out=out, progress=_progress)
    document = documents.of_packing(found, file, out)
    if json or found.offsets is not None:
        documents.show(document, json)
    if found.offsets is None:
        raise NoAnswerError(f"{file}: {document['notes'][0]}")


@app.command
def train(
    config: Annotated[Path, Parameter(help="TOML, as in muzero/configs.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder for checkpoints, metrics, the best episodes and the agent.")],
    resume: Annotated[
        bool, Parameter(negative="", help="Go on from the newest whole checkpoint in the folder.")
    ] = False,
    json: Json = False,
) -> None:
    """Train the agent by self-play. Ctrl-C or a kill loses no more than what is after the last checkpoint.

    Needs JAX: pip install 'mallocgame[train]'. It runs on what devices JAX finds.
    """
    from mallocgame import api
    from mallocgame.report import documents

    documents.show(api.train(config, out=out, resume=resume, progress=_progress), json)


@app.command
def probe(
    *programs: Annotated[
        str,
        Parameter(
            help="MODULE:FUNCTION, capture or FILE.mlir; after it plans, answers of solve, or JSON of compiler options."
        ),
    ],
    calibrate: Annotated[
        bool, Parameter(negative="", help="Measure the device's memories, and each instruction of the programs.")
    ] = False,
    time_limit: Annotated[float, Parameter(help="Seconds of measuring; compiling comes on top.")] = 60.0,
    margin: Annotated[float, Parameter(help="Share by which programs have to differ beyond doubt.")] = 0.01,
    inputs: Annotated[Path | None, Parameter(help="Real inputs, a file of numpy.savez; made up if not given.")] = None,
    seed: int = 0,
    out: Annotated[
        Path | None, Parameter(help="Where to write the result with every sample, or the target file.")
    ] = None,
    json: Json = False,
) -> None:
    """Run programs on the device at hand, side by side: which one is faster than the first, beyond doubt?

    Outputs are compared too. Ctrl-C gives what is known so far. With --calibrate it writes a target file instead, which
    solve takes as --target.
    """
    from mallocgame import api
    from mallocgame.report import documents, probe_document

    if calibrate:
        if out is None:
            raise BadInputError("--calibrate writes a target file: add --out FILE.json")
        measured = api.calibrate(programs, out=out, time_limit=time_limit, inputs=inputs, seed=seed, progress=_progress)
        documents.show(probe_document.of_calibration(measured, out), json)
        return
    found = api.probe(
        programs, time_limit=time_limit, margin=margin, inputs=inputs, seed=seed, out=out, progress=_progress
    )
    documents.show(probe_document.of_probe(found, out), json)


@app.command
def demo(
    *,
    workload: str = "unet",
    targets: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("v4 lite", "v5p"),
    time_limit: Annotated[float, Parameter(help="Seconds for the solver, each target.")] = 30.0,
    out: Annotated[Path, Parameter(help="Folder for captures, plans and pictures.")] = Path("out"),
    json: Json = False,
) -> None:
    """The whole way for one real model and two targets: capture, solve, verify, table, memory maps."""
    from mallocgame import demo as whole
    from mallocgame.report import documents

    documents.show(whole.run(workload, targets, time_limit, out, _progress), json)


def main(tokens: Sequence[str] | None = None) -> NoReturn:
    """Run a command; every error is one line on stderr and an exit code."""
    arguments = list(sys.argv[1:] if tokens is None else tokens)
    try:
        command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
        command(*bound.args, **bound.kwargs)
        sys.stdout.flush()
    except CycloptsError as error:
        _fail(_one_line(error) + " (see mallocgame --help)", BAD_INPUT)
    except MallocgameError as error:
        _fail(_one_line(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except MemoryError:
        _fail("out of memory", NO_ANSWER)
    except OSError as error:
        if error.errno not in NO_ROOM:
            _fail_by_bug(error)
        _fail(f"{error.filename or 'the output'}: {error.strerror}", NO_ANSWER)
    except Exception as error:
        if _is_parse_error(error):
            _fail(_one_line(error), BAD_INPUT)
        _fail_by_bug(error)
    sys.exit(0)


def _fail_by_bug(error: Exception) -> NoReturn:
    if os.environ.get(TRACEBACK):
        raise error
    _fail(
        f"unexpected {type(error).__name__}: {_one_line(error)}; this is a bug: please report it with the command, "
        f"its input, and what {TRACEBACK}=1 shows",
        BUG,
    )


def _is_parse_error(error: Exception) -> bool:
    from xla_dump_parser import ParseError

    return isinstance(error, ParseError)


def _one_line(error: Exception) -> str:
    """The message of an error, in one line of bounded length."""
    text = " ".join(str(error).split())
    return text if len(text) <= 600 else text[:600] + "..."


def _trace_on_the_cpu() -> None:
    """Tracing and lowering need no device: let JAX look for none in this process."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")


def _progress(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _fail(message: str, code: int) -> NoReturn:
    print(f"mallocgame: error: {printable(message)}", file=sys.stderr, flush=True)
    sys.exit(code)
