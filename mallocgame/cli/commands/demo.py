"""``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.cli.app import Json, app
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show


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
    from mallocgame.cli.answers import demonstrated

    show(demonstrated.run(workload, targets, time_limit, out, tell), demonstrated.lines, json)
