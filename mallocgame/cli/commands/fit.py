"""``fit``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.cli.answers import fitted
from mallocgame.cli.app import Json, app
from mallocgame.cli.options import trace_on_the_cpu
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show
from mallocgame.offload.solver_name import SolverName
from mallocgame.problem.chips import CHIPS
from mallocgame.system.errors import BadInputError, NoAnswerError

_BATCH = re.compile(r"(?P<batch>[1-9]\d{0,7})|max(?::(?P<step>[1-9]\d{0,5}))?")


@app.command
def fit(
    program: Annotated[str, Parameter(name="MODULE:FUNCTION", help="Or a capture or HLO text.")],
    /,
    *,
    target: Annotated[str, Parameter(help=f"One of: {', '.join(CHIPS)}.")],
    budget: Annotated[
        str | None,
        Parameter(
            help="Device memory: bytes, or a share of XLA's default such as 50%; all that there is if not given."
        ),
    ] = None,
    batch: Annotated[
        str | None,
        Parameter(help="For a function that takes one: N, or max for the largest that fits, max:8 in multiples of 8."),
    ] = None,
    host_state: Annotated[
        list[str] | None,
        Parameter(negative="", help="Leaf group of the state on the host, e.g. 1[0].mu; again for others."),
    ] = None,
    solver: Annotated[SolverName, Parameter(help="greedy, local or exact.")] = "exact",
    time_limit: Annotated[float, Parameter(help="Seconds of each solve.")] = 30.0,
    compiles: Annotated[
        int | None, Parameter(help="Budget of compiles, XLA's default included; 16, with --batch max 48 if not given.")
    ] = None,
    seed: int = 0,
    link: Annotated[Path | None, Parameter(help="Measured rates of the host link; the table's if not given.")] = None,
    cache: Annotated[Path, Parameter(help="Folder of finished compiles.")] = Path("out/compiles"),
    out: Annotated[Path | None, Parameter(help="Where to write the answer.")] = None,
    json: Json = False,
) -> None:
    """Make a training step fit: which named residuals to keep, to offload to the host and to recompute.

    MODULE:FUNCTION is what capture takes, with blocks under jax.checkpoint and names in them; or takes what to wrap
    each block in: see docs/fit.md. For TPU targets the compiler confirms device memory and host copies; for GPUs the
    answer is the model's. A capture or an HLO text instead shows what offloading its values could do, and exports
    nothing.
    """
    from mallocgame import api

    trace_on_the_cpu()
    asked = _BATCH.fullmatch(batch or "1")
    if asked is None:
        raise BadInputError(f"--batch {batch}: has to be a number, max, or max:N for multiples of N")
    if batch is not None and asked["batch"] is None:
        largest = api.fit_largest(
            program,
            target=target,
            budget=budget,
            step=int(asked["step"] or 1),
            host_state=host_state,
            compiles=48 if compiles is None else compiles,
            link=link,
            out=out,
            cache=cache,
            progress=tell,
        )
        show(fitted.of_largest(largest, out), fitted.largest_lines, json)
        return
    found = api.fit(
        program,
        target=target,
        budget=budget,
        batch=None if batch is None else int(asked["batch"]),
        host_state=host_state,
        solver=solver,
        time_limit=time_limit,
        seed=seed,
        compiles=16 if compiles is None else compiles,
        link=link,
        out=out,
        cache=cache,
        progress=tell,
    )
    document = fitted.of_fitted(found, target, out)
    found_nothing = found.answer is None and not found.only_modelled
    if json or not found_nothing:
        show(document, fitted.lines, json)
    if found_nothing:
        raise NoAnswerError(f"{program}: {document['notes'][0]}")
