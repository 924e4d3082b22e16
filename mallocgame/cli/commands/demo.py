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
    workload: str = "llama-decode-b8",
    targets: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("v4 lite", "v5p"),
    time_limit: Annotated[float, Parameter(help="Seconds of search, each target.")] = 20.0,
    compiles: Annotated[int, Parameter(help="Budget of compiles, each target, beside XLA's default and MSA off.")] = 2,
    out: Annotated[Path, Parameter(help="Folder for captures, answers, pictures and compiles.")] = Path("out"),
    json: Json = False,
) -> None:
    """The whole way for one real model and two targets: capture, `auto`, table beside MSA off, memory maps."""
    from mallocgame.cli.answers import demonstrated

    show(demonstrated.run(workload, targets, time_limit, compiles, out, tell), demonstrated.lines, json)
