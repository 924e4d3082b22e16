"""``verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.cli.answers import fitted, verified
from mallocgame.cli.app import Json, app
from mallocgame.cli.options import trace_on_the_cpu
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show


@app.command
def verify(
    plan: Path,
    file: Annotated[
        Path | None,
        Parameter(help="Of its program; the answer says where it was. For an answer of fit, its MODULE:FUNCTION."),
    ] = None,
    /,
    *,
    json: Json = False,
) -> None:
    """Recompile with a plan or other answer, read every placement back, and compare with XLA's default."""
    from mallocgame import api
    from mallocgame.offload.moves_file import is_moves_file

    if is_moves_file(plan):
        trace_on_the_cpu()
        found_again = api.verify_fit(plan, None if file is None else str(file))
        show(fitted.of_verified(found_again), fitted.verified_lines, json)
        return
    found = api.verify(plan, file, progress=tell)
    show(verified.of_verification(found), verified.lines, json)
