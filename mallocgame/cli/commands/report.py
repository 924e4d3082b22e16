"""``report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mallocgame.api import ReportFormat
from mallocgame.cli.app import Json, app
from mallocgame.cli.comparing import Compiles, Program, Recompile
from mallocgame.cli.progress import tell
from mallocgame.cli.show import Document, Value, show
from mallocgame.problem.counted import shares_document
from mallocgame.report.units import change, duration, size

if TYPE_CHECKING:
    from mallocgame.api import Reported


@app.command
def report(
    plan: Path,
    file: Program = None,
    /,
    *,
    format: Annotated[ReportFormat, Parameter(help="A page, a picture of the memory maps, or a trace.")] = "html",
    out: Annotated[Path | None, Parameter(help="Where to write it; beside the plan if not given.")] = None,
    verify: Recompile = False,
    cache: Compiles = None,
    json: Json = False,
) -> None:
    """Show what a plan does beside XLA's default: memory maps, stalls, bandwidth, what gains and loses, the flags.

    The page is one HTML file that needs no network. The trace opens in Perfetto (ui.perfetto.dev) or chrome://tracing.
    """
    from mallocgame import api

    made = api.report(plan, file, format=format, out=out, verify=verify, cache=cache, progress=tell)
    show(of_report(made, plan), lines, json)


def of_report(made: Reported, plan: Path) -> Document:
    """The answer of ``report``."""
    comparison = made.comparison
    before, after = comparison.before, comparison.after
    return {
        "command": "report",
        "plan": str(plan),
        "file": comparison.file,
        "module": comparison.problem.module,
        "target": comparison.problem.target.name,
        "fingerprint": comparison.problem.fingerprint,
        "confirmed": comparison.confirmed,
        "counted": shares_document(comparison.problem),
        "before": before.name,
        "e_before": before.replays["E"].total,
        "e_after": after.replays["E"].total,
        "m_before": before.replays["M"].total,
        "m_after": after.replays["M"].total,
        "format": made.format,
        "bytes": made.size,
        "notes": list(comparison.notes),
        "out": str(made.out),
    }


def lines(document: Value) -> list[str]:
    """The answer in words."""
    source = "confirmed by the compiler" if document["confirmed"] else "predicted: the compiler has not confirmed it"
    figures = (
        f"{model.upper()} {duration(document[f'{model}_before'])} -> {duration(document[f'{model}_after'])} "
        f"({change(document[f'{model}_after'], document[f'{model}_before'])})"
        for model in ("e", "m")
    )
    return [
        f"{document['module']} for {document['target']}: the plan against {document['before']}, {source}",
        f"figures      {', '.join(figures)}",
        f"written      {document['out']} ({document['format']}, {size(document['bytes'])})",
    ]
