"""``pack``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.cli.answers import packed
from mallocgame.cli.app import Json, app
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show
from mallocgame.system.errors import BadInputError, NoAnswerError


@app.command
def pack(
    file: Annotated[
        Path,
        Parameter(
            help="CSV: id, lower, upper, size; alignment, gaps, hint, offset if any; colocation: a name, all that have "
            "it are at one offset; separation: names, what has one in common shares no byte at any time."
        ),
    ],
    /,
    *,
    capacity: Annotated[int | None, Parameter(help="Bytes; the smallest that can be found if not given.")] = None,
    out: Annotated[Path | None, Parameter(help="Where to write the rows with a column offset.")] = None,
    time_limit: Annotated[float, Parameter(help="Seconds.")] = 60.0,
    seed: int = 0,
    spill: Annotated[
        bool,
        Parameter(
            negative="",
            help="Where not all fit, leave out what costs least (column cost, else the size); needs --capacity.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Find offsets for buffers so that no two that are live at once share a byte, or prove that there are none.

    Where there are none, the buffers that are in the way are named.
    """
    from mallocgame import api

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy starts a thread a core for what is not needed here
    if spill:
        if capacity is None:
            raise BadInputError("--spill needs --capacity")
        spilling = api.spill(file, capacity=capacity, time_limit=time_limit, seed=seed, out=out, progress=tell)
        show(packed.of_spilling(spilling, file, out), packed.spill_lines, json)
        return
    found = api.pack(file, capacity=capacity, time_limit=time_limit, seed=seed, out=out, progress=tell)
    document = packed.of_packing(found, file, out)
    if json or found.offsets is not None:
        show(document, packed.lines, json)
    if found.offsets is None:
        if not json:
            tell(packed.in_the_way(found.core))
        raise NoAnswerError(f"{file}: {document['notes'][0]}")
