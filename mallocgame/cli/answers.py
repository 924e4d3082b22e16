"""``export``, ``verify``, ``report`` and ``explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.api import ExportFormat, ReportFormat
from mallocgame.cli.app import Json, app, tell, trace_on_the_cpu


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
        trace_on_the_cpu()
        documents.show(offload_document.of_verified(api.verify_offload(plan, str(capture))), json)
        return
    named, kept = load_plan(plan), load_capture(capture)
    verification = api.verify(named, kept, progress=tell)
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

    made = api.report(plan, file, format=format, out=out, verify=verify, cache=cache, progress=tell)
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

    documents.show(api.explain(plan, file, verify=verify, cache=cache, progress=tell), json)
