"""``memory``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.api import MemoryFormat
from mallocgame.cli.answers import memory_compared
from mallocgame.cli.answers.remembered import lines, of_memory, of_written
from mallocgame.cli.app import Json, app
from mallocgame.cli.options import Module, Target
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show
from mallocgame.system.errors import BadInputError


@app.command
def memory(
    file: Path,
    /,
    *,
    diff: Annotated[Path | None, Parameter(help="Another program: what it has more and less than FILE.")] = None,
    format: Annotated[
        MemoryFormat | None,
        Parameter(
            help="Write a page, a profile of the peak for pprof, or a trace for Perfetto; of --out alone a page."
        ),
    ] = None,
    out: Annotated[Path | None, Parameter(help="Where to write it; beside FILE if not given.")] = None,
    target: Target = None,
    module: Module = None,
    json: Json = False,
) -> None:
    """What fills each memory, whether it fits, what is live at the peak, and what to do about it.

    Takes what solve takes, and compile logs and error messages of programs that ran out of memory. Of a program that
    does not fit it tells what its compile left behind.
    """
    from mallocgame import api
    from mallocgame.report.memory.rendering import place_of

    if diff is not None:
        if format is not None or out is not None:
            raise BadInputError("--format and --out are for one program: --diff is told in words and as --json")
        found = api.memory_diff(file, diff, target=target, module=module, progress=tell)
        show(memory_compared.of_diff(found, file, diff), memory_compared.lines, json)
        return
    use = api.memory(file, target=target, module=module, format=format, out=out, progress=tell)
    written = place_of(str(file), format, None if out is None else str(out))
    document = of_memory(use)
    show(document if written is None else {**document, **of_written(*written)}, lines, json)
