"""``verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.cli.answers import offloaded, verified
from mallocgame.cli.app import Json, app, trace_on_the_cpu
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show


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
    from mallocgame.compiler.capture_file import load_capture
    from mallocgame.offload.moves_file import is_moves_file
    from mallocgame.plan.plan_file import load_plan

    if is_moves_file(plan):
        trace_on_the_cpu()
        show(offloaded.of_verified(api.verify_offload(plan, str(capture))), offloaded.verified_lines, json)
        return
    named, kept = load_plan(plan), load_capture(capture)
    verification = api.verify(named, kept, progress=tell)
    show(verified.of_verification(verification, kept.problem()), verified.lines, json)
