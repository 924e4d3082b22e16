"""``solve``: one program by one solver or with the compiler, or several programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from mallocgame.cli.answers import automatic, several, solved
from mallocgame.cli.app import Json, app
from mallocgame.cli.durations import seconds_of
from mallocgame.cli.options import Kernels, Module, Target, TripCounts, kernel_seconds, trip_counts
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show
from mallocgame.plan.objective import Objective
from mallocgame.system.errors import BadInputError, NoAnswerError


@app.command
def solve(
    file: Annotated[
        Path,
        Parameter(
            help="A capture, a problem file (.mgp), a dump folder, a scheduled HLO text, or a program (HLO from before "
            "optimization, StableHLO, an HLO proto, MODULE:FUNCTION), which is compiled first; or several: a folder "
            "without the schedule of a dump stands for the .mgz, .mgp, .hlo, .hlo.gz and dump folders in it, a quoted "
            "glob for all that it matches."
        ),
    ],
    /,
    *,
    target: Target = None,
    module: Module = None,
    solver: Annotated[
        str | None,
        Parameter(
            help="local if not given, whose plan is written only if it is predicted better where the program cannot be "
            "compiled; auto with --probe, with --from, and for a program that is compiled first."
        ),
    ] = None,
    time_limit: Annotated[float, Parameter(help="Seconds of search.")] = 30.0,
    compiles: Annotated[int, Parameter(help="Budget of auto: other splits and refused plans count.")] = 8,
    compile_time: Annotated[
        str | None, Parameter(help="What auto's compiles may take in all: 90s, 10m, 1h; no bound if not given.")
    ] = None,
    objective: Annotated[
        Objective | None, Parameter(help="What to be quick under. Both for auto and where a plan is compared, else M.")
    ] = None,
    strict: Annotated[
        bool, Parameter(negative="", help="Auto's answer at another split may not lose under M.")
    ] = False,
    probe: Annotated[
        bool, Parameter(negative="", help="On the target itself: run auto's answer beside XLA's default and choose.")
    ] = False,
    start_from: Annotated[
        Path | None,
        Parameter(
            name="--from",
            help="An answer of auto for another version of the compiler, or for the program before a change: what is "
            "found again of it is compiled first.",
        ),
    ] = None,
    kernel: Kernels = None,
    trips: TripCounts = None,
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

    Where there is no program to compile, the plan is compared with XLA's own placement, foreseen where the file does
    not have it, and nothing is written that is not predicted better.

    The solver auto works on a capture with the real compiler: it proposes plans, memory splits and flags, recompiles,
    reads back and learns. Its answer is confirmed and never worse than XLA's default; Ctrl-C gives the best so far.

    Several programs are solved each in a process of its own; one that fails does not stop the others, and the same
    command goes on where an interrupted or killed one stopped.
    """
    from mallocgame import api
    from mallocgame.batch.find import is_batch
    from mallocgame.programs.loading import is_compiled_first

    compile_seconds = None if compile_time is None else seconds_of(compile_time, "--compile-time")
    if is_batch(file):
        if probe:
            raise BadInputError(f"{file} stands for several programs: --probe runs the answer of one")
        if module is not None:
            raise BadInputError(f"{file} stands for several programs: --module names one of a dump folder's")
        if start_from is not None:
            raise BadInputError(f"{file} stands for several programs: --from is an answer for one")
        if kernel or trips:
            raise BadInputError(f"{file} stands for several programs: --kernel and --trips are of one")
        if out is None:
            raise BadInputError(f"{file} stands for several programs: add --out FOLDER for their plans and results")
        outcome = api.solve_all(
            file,
            target=target,
            solver=solver,
            time_limit=time_limit,
            compiles=compiles,
            compile_time=compile_seconds,
            objective=objective,
            strict=strict,
            seed=seed,
            cache=cache,
            out=out,
            engine=engine,
            processes=processes,
            progress=tell,
        )
        show(several.of_batch(outcome), several.lines, json)
        if outcome.failed:
            raise NoAnswerError(f"{len(outcome.failed)} of {len(outcome.results)} programs have no answer")
        return
    if solver is None and is_compiled_first(file):
        solver = "auto"
    if probe and solver not in (None, "auto"):
        raise BadInputError(f"--probe goes with auto's answer, not with --solver {solver}")
    if start_from is not None and solver not in (None, "auto"):
        raise BadInputError(f"--from is what auto starts from, not --solver {solver}")
    if solver == "auto" or probe or start_from is not None:
        found = api.auto(
            file,
            target=target,
            module=module,
            time_limit=time_limit,
            compiles=compiles,
            compile_time=compile_seconds,
            objective=objective or "both",
            strict=strict,
            probe=probe,
            start_from=start_from,
            seed=seed,
            kernels=kernel_seconds(kernel),
            trips=trip_counts(trips),
            out=out,
            cache=cache,
            progress=tell,
        )
        show(automatic.of_automatic(found, out), automatic.lines, json)
        return
    plan = api.solve(
        file,
        target=target,
        module=module,
        solver=solver,
        time_limit=time_limit,
        seed=seed,
        objective=objective,
        kernels=kernel_seconds(kernel),
        trips=trip_counts(trips),
        out=out,
        progress=tell,
    )
    show(solved.of_solved(plan, out), solved.lines, json)
