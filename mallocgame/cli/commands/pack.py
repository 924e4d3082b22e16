"""``pack``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mallocgame.cli.app import Json, app
from mallocgame.cli.progress import tell
from mallocgame.cli.show import Document, Value, show
from mallocgame.system.errors import NoAnswerError

if TYPE_CHECKING:
    from mallocgame.packing import Packing


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
    json: Json = False,
) -> None:
    """Find offsets for buffers so that no two that are live at once share a byte, or prove that there are none."""
    from mallocgame import api

    found = api.pack(file, capacity=capacity, time_limit=time_limit, seed=seed, out=out, progress=tell)
    document = of_packing(found, file, out)
    if json or found.offsets is not None:
        show(document, lines, json)
    if found.offsets is None:
        raise NoAnswerError(f"{file}: {document['notes'][0]}")


def of_packing(packing: Packing, file: Path, out: Path | None) -> Document:
    """The answer of ``pack``; ``out`` is None where nothing was written."""
    reasons = {
        "infeasible": f"infeasible: proven that {packing.capacity} bytes are not enough",
        "time limit": f"time limit: no packing into {packing.capacity} bytes found in {packing.seconds:.1f} s",
    }
    return {
        "command": "pack",
        "file": str(file),
        "status": packing.status,
        "capacity": packing.capacity,
        "lower_bound": packing.lower_bound,
        "offsets": packing.offsets,
        "seconds": round(packing.seconds, 3),
        "nodes": packing.nodes,
        "out": str(out) if out is not None and packing.offsets is not None else None,
        "notes": [reasons[packing.status]] if packing.offsets is None else [],
    }


def lines(document: Value) -> list[str]:
    """The answer in words, where there are offsets."""
    found = [
        f"{document['file']}: {len(document['offsets'])} buffers in {document['capacity']} bytes",
        f"status       {document['status']}, at least {document['lower_bound']} bytes are needed",
        f"search       {document['seconds']:.2f} s, {document['nodes']} nodes",
    ]
    return [*found, f"written      {document['out']}"] if document["out"] else found
