"""``train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.cli.app import Json, app
from mallocgame.cli.progress import tell
from mallocgame.cli.show import Value, show


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

    show(api.train(config, out=out, resume=resume, progress=tell), lines, json)


def lines(document: Value) -> list[str]:
    """The answer in words."""
    return [
        f"{document['folder']}: {document['iterations']} iterations, {document['updates']} updates",
        f"replay       {document['positions']} positions",
    ]
