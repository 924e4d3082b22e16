"""``pack``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mallocgame.cli.app import Json, app, tell
from mallocgame.errors import NoAnswerError


@app.command
def pack(
    file: Annotated[Path, Parameter(help="CSV: id, lower, upper, size; alignment, gaps, hint and offset if any.")],
    /,
    *,
    capacity: Annotated[int | None, Parameter(help="Bytes; the smallest that can be found if not given.")] = None,
    out: Annotated[Path | None, Parameter(help="Where to write the rows with a column offset.")] = None,
    time_limit: Annotated[float, Parameter(help="Seconds.")] = 60.0,
    seed: int = 0,
    json: Json = False,
) -> None:
    """Find offsets for buffers so that no two that are live at once share a byte, or prove that there are none."""
    from mallocgame import api
    from mallocgame.report import documents

    found = api.pack(file, capacity=capacity, time_limit=time_limit, seed=seed, out=out, progress=tell)
    document = documents.of_packing(found, file, out)
    if json or found.offsets is not None:
        documents.show(document, json)
    if found.offsets is None:
        raise NoAnswerError(f"{file}: {document['notes'][0]}")
