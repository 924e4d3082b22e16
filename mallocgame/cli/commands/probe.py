"""``probe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.cli.answers import probed
from mallocgame.cli.app import Json, app
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show
from mallocgame.system.errors import BadInputError


@app.command
def probe(
    *programs: Annotated[
        str,
        Parameter(
            help="MODULE:FUNCTION, capture or module file; then plans, answers of solve, or JSON of compiler options. "
            "An answer that comes first has its own program before it."
        ),
    ],
    calibrate: Annotated[
        bool, Parameter(negative="", help="Measure the device's memories, and each instruction of the programs.")
    ] = False,
    time_limit: Annotated[float, Parameter(help="Seconds of measuring; compiling comes on top.")] = 60.0,
    margin: Annotated[float, Parameter(help="Share by which programs have to differ beyond doubt.")] = 0.01,
    inputs: Annotated[Path | None, Parameter(help="Real inputs, a file of numpy.savez; made up if not given.")] = None,
    seed: int = 0,
    out: Annotated[
        Path | None, Parameter(help="Where to write the result with every sample, or the target file.")
    ] = None,
    json: Json = False,
) -> None:
    """Run programs on the device at hand, side by side: which one is faster than the first, beyond doubt?

    Outputs are compared too. Ctrl-C gives what is known so far. With --calibrate it writes a target file instead, which
    solve takes as --target.
    """
    from mallocgame import api
    from mallocgame.probe import document

    if calibrate:
        if out is None:
            raise BadInputError("--calibrate writes a target file: add --out FILE.json")
        measured = api.calibrate(programs, out=out, time_limit=time_limit, inputs=inputs, seed=seed, progress=tell)
        show(document.of_calibration(measured, out), probed.calibrated_lines, json)
        return
    found = api.probe(programs, time_limit=time_limit, margin=margin, inputs=inputs, seed=seed, out=out, progress=tell)
    show(document.of_probe(found, out), probed.lines, json)
