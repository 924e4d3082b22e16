"""Offsets for buffers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mallocgame.api.arguments import PathLike
from mallocgame.system.files import check_writable
from mallocgame.system.progress import Progress

if TYPE_CHECKING:
    from mallocgame.packing import BufferTable, Packing, Spilling


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
        time_limit: seconds; the machine code, made at the first use, is apart, and so is the search for a core, which
            takes as long again at most.
        seed: the same seed and file give the same answer, unless the time limit ends the search.
        progress: called with one line now and then.

    Returns:
        Without offsets if there is no packing, or none was found; nothing is written then, and ``core`` has the
        buffers that are in the way, where a set was proven not to fit.

    Raises:
        BadInputError: the file cannot be used, as where fixed offsets overlap, or ``out`` cannot be written.
    """
    from mallocgame import packing

    table = _ready(file, out, progress)
    if capacity is None:
        found = packing.minimise(table.buffers, time_limit=time_limit, seed=seed, progress=progress)
    else:
        found = packing.pack(table.buffers, capacity, time_limit=time_limit, seed=seed)
    if found.offsets is None:
        core = packing.find_core(table.buffers, found, time_limit=time_limit, seed=seed)
        return replace(found, core=core)
    if out is not None:
        packing.write_csv(out, table, found.offsets)
    return found


def spill(
    file: PathLike,
    *,
    capacity: int,
    time_limit: float = 60.0,
    seed: int = 0,
    out: PathLike | None = None,
    progress: Progress | None = None,
) -> Spilling:
    """As `pack`, but leave buffers out where not all fit, for the least cost that can be found.

    The column ``cost`` says what is lost with a buffer, its size if it is empty. Rows of buffers that are left out have
    no offset in ``out``. Ctrl-C ends the search as the time limit does.

    Args:
        file: columns as `mallocgame.packing.csv_file` describes them.
        capacity: bytes.
        time_limit: seconds; the machine code, made at the first use, is apart.
        seed: the same seed and file give the same answer, unless the time limit ends the search.
        out: where to write the rows.
        progress: called with one line now and then.

    Raises:
        BadInputError: as `pack`, or the buffers with fixed offsets, which are never left out, alone do not fit.
    """
    from mallocgame import packing

    table = _ready(file, out, progress)
    found = packing.spill(table.buffers, capacity, time_limit=time_limit, seed=seed, progress=progress)
    if out is not None:
        packing.write_csv(out, table, found.offsets)
    return found


def _ready(file: PathLike, out: PathLike | None, progress: Progress | None) -> BufferTable:
    """The file's buffers, once ``out`` is known to be writable and machine code is loaded."""
    from mallocgame import packing

    if out is not None:
        check_writable(out)
    table = packing.read_csv(file)
    seconds = packing.compile_native()
    if progress is not None:
        progress(f"{len(table.buffers)} buffers; machine code ready in {seconds:.1f} s")
    return table
