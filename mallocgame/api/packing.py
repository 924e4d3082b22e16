"""Offsets for buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mallocgame.api.arguments import PathLike
from mallocgame.system.files import check_writable
from mallocgame.system.progress import Progress

if TYPE_CHECKING:
    from mallocgame.packing import Packing


def pack(
    file: PathLike,
    *,
    capacity: int | None = None,
    time_limit: float = 60.0,
    seed: int = 0,
    out: PathLike | None = None,
    progress: Progress | None = None,
) -> Packing:
    """Find offsets for the buffers of a CSV file, and write its rows with a column ``offset`` to ``out`` if given.

    Args:
        file: columns as `mallocgame.packing.csv_file` describes them.
        capacity: bytes; None for the smallest that can be found. Then Ctrl-C ends the search as the time limit does.
        time_limit: seconds; the native code, compiled at the first use, is apart.
        seed: the same seed and file give the same answer, unless the time limit ends the search.
        progress: called with one line now and then.

    Returns:
        Without offsets if there is no packing, or none was found; nothing is written then.

    Raises:
        BadInputError: the file cannot be used, as where fixed offsets overlap, or ``out`` cannot be written.
    """
    from mallocgame import packing

    if out is not None:
        check_writable(out)
    table = packing.read_csv(file)
    seconds = packing.compile_native()
    if progress is not None:
        progress(f"{len(table.buffers)} buffers; native code ready in {seconds:.1f} s")
    if capacity is None:
        found = packing.minimise(table.buffers, time_limit=time_limit, seed=seed, progress=progress)
    else:
        found = packing.pack(table.buffers, capacity, time_limit=time_limit, seed=seed)
    if out is not None and found.offsets is not None:
        packing.write_csv(out, table, found.offsets)
    return found
