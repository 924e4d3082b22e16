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
        MemoryFormat, Parameter(help="Of --out: a page, a profile of the peak for pprof, or a trace for Perfetto.")
    ] = "html",
    out: Annotated[Path | None, Parameter(help="Where to write that; nothing is written if not given.")] = None,
    target: Target = None,
    module: Module = None,
    json: Json = False,
) -> None:
    """What fills each memory, whether it fits, what is live at the peak, and what to do about it.

    Takes what solve takes, and compile logs and error messages of programs that ran out of memory. Of a program that
    does not fit it tells what its compile left behind.
    """
    from mallocgame import api

    if diff is not None:
        if out is not None:
            raise BadInputError("--out is for one program: --diff is told in words and as --json")
        found = api.memory_diff(file, diff, target=target, module=module, progress=tell)
        show(memory_compared.of_diff(found, file, diff), memory_compared.lines, json)
        return
    use = api.memory(file, target=target, module=module, format=format, out=out, progress=tell)
    document = of_memory(use)
    show(document if out is None else {**document, **of_written(out, format)}, lines, json)
