"""``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.api import ExportFormat
from mallocgame.cli.app import Json, app
from mallocgame.cli.progress import tell
from mallocgame.cli.show import print_json


@app.command
def export(
    plan: Annotated[
        Path, Parameter(help="An answer of solve; for minimalloc-csv also a program, of which nothing is placed yet.")
    ],
    /,
    *,
    format: Annotated[ExportFormat, Parameter(help="What to print.")] = "compiler-options",
    max_bytes: Annotated[
        int | None,
        Parameter(help="Bytes of the flags as one string: of a plan that takes more, the part that saves most."),
    ] = None,
    json: Json = False,
) -> None:
    """Print a plan as flags of the compiler, or its buffers as CSV for packers."""
    from mallocgame import api

    text = api.export(plan, format, max_bytes, tell)
    if json:
        print_json({"command": "export", "format": format, "text": text})
    else:
        print(text, end="" if format == "minimalloc-csv" else "\n")
