"""``capture``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import workloads
from mallocgame.cli.answers import captured
from mallocgame.cli.app import Json, app
from mallocgame.cli.options import Module
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show
from mallocgame.problem.targets import DEFAULT_TARGET, TARGETS
from mallocgame.programs.target_choice import reason
from mallocgame.system.errors import BadInputError


@app.command
def capture(
    reference: Annotated[str | None, Parameter(name="MODULE:FUNCTION")] = None,
    /,
    *,
    target: Annotated[
        str | None,
        Parameter(help=f"One of: {', '.join(TARGETS)}. If not given, what a dump says, else {DEFAULT_TARGET}."),
    ] = None,
    out: Path,
    workload: Annotated[
        str | None, Parameter(help=f"Instead of MODULE:FUNCTION, one of: {', '.join(workloads.names())}.")
    ] = None,
    module: Module = None,
    scoped_vmem_kib: Annotated[
        int | None, Parameter(help="Memory split: KiB of VMEM for fusions' own windows, if not the compiler's default.")
    ] = None,
    calibrate: Annotated[
        int, Parameter(help="Compiles more, to learn what instructions cost under other placements.")
    ] = 0,
    json: Json = False,
) -> None:
    """Compile a JAX function for a target and keep what the other commands need in one file.

    MODULE:FUNCTION takes no arguments and returns (function, abstract arguments), these with a dictionary of arguments
    by name, or what jax.jit(f).trace(...) or .lower(...) gives. A module in a file does as well, whatever framework
    made it: StableHLO (FILE.mlir, text or bytecode), HLO text from before optimization (FILE.hlo, FILE.txt) or an HLO
    proto (FILE.pb), each also gzipped; or a dump folder, which also says target, options and devices.
    """
    from mallocgame import api

    if (reference is None) == (workload is None):
        raise BadInputError("give either MODULE:FUNCTION (or a module file) or --workload NAME")
    lines: list[str] = []

    def progress(line: str) -> None:
        lines.append(line)
        tell(line)

    kept = api.capture(
        reference or workload or "",
        target=target,
        out=out,
        workload=workload is not None,
        module=module,
        scoped_vmem_kib=scoped_vmem_kib,
        calibrate=calibrate,
        progress=progress,
    )
    show(captured.of_capture(kept, out, reason(lines, kept.target)), captured.lines, json)
