"""``explain``."""

from __future__ import annotations

from pathlib import Path

from mallocgame.cli.app import Json, app
from mallocgame.cli.comparing import Compiles, Program, Recompile
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show


@app.command
def explain(
    plan: Path,
    file: Program = None,
    /,
    *,
    verify: Recompile = False,
    cache: Compiles = None,
    json: Json = False,
) -> None:
    """Say in words what a plan moves and why it pays, what is left, and what bounds it."""
    from mallocgame import api
    from mallocgame.report.explain_text import explained

    show(api.explain(plan, file, verify=verify, cache=cache, progress=tell), explained, json)
