"""``offload``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.cli.answers import offloaded
from mallocgame.cli.app import Json, app
from mallocgame.cli.options import trace_on_the_cpu
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show
from mallocgame.offload.solver_name import SolverName
from mallocgame.problem.chips import CHIPS
from mallocgame.system.errors import NoAnswerError


@app.command
def offload(
    program: Annotated[str, Parameter(name="MODULE:FUNCTION", help="Or a capture or HLO text.")],
    /,
    *,
    target: Annotated[str, Parameter(help=f"One of: {', '.join(CHIPS)}.")],
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

    trace_on_the_cpu()
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
        progress=tell,
    )
    document = offloaded.of_offloaded(found, target, out)
    found_nothing = found.answer is None and not found.only_modelled
    if json or not found_nothing:
        show(document, offloaded.lines, json)
    if found_nothing:
        raise NoAnswerError(f"{program}: {document['notes'][0]}")
