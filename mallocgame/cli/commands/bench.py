"""``bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.cli.answers import benched
from mallocgame.cli.app import Json, app
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show
from mallocgame.plan.objective import Objective
from mallocgame.system.errors import MallocgameError


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
    workloads: Annotated[tuple[str, ...], _several("All of them if not given.")] = (),
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
    from mallocgame.bench.selection import QUICK, choose_settings, select
    from mallocgame.bench.store import CaptureStore
    from mallocgame.optimizer.knowledge.choice import Choice

    choice = Choice(objective=objective, strict=strict)
    settings = choose_settings(quick, seed, time_limit, compiles, choice)
    names = workloads or (QUICK if quick else ())
    store = CaptureStore(captures)
    if list_:
        show(benched.of_listing(store), benched.listed_lines, json)
    elif replay is not None:
        compared = api.replay(replay, captures=captures, progress=tell)
        show(benched.of_replay(compared), benched.replayed_lines, json)
        if compared.differences:
            raise MallocgameError(f"{replay}: {', '.join(compared.differences)} differ")
    elif capture_only:
        wanted = select(names, targets, methods, solvers, settings)
        made = store.make_all(wanted.workloads, wanted.targets, tell)
        show(benched.of_captures(made, store), benched.captured_lines, json)
    else:
        folder = out or Path("out/bench-quick" if quick else "out/bench")
        outcome = api.bench(
            names, targets, methods, solvers, settings=settings, captures=captures, out=folder, progress=tell
        )
        show(benched.of_bench(outcome), benched.lines, json)
