"""A training job's state as files that are whole or not there: numbers in numpy's format, no pickle.

A file is one line ``mallocgame-checkpoint VERSION SHA256`` and then an npz archive, whose digest it is: a damaged byte
anywhere shows. In the archive, ``header`` is a JSON text, all else arrays. ``write`` renames the finished file into its
place, so that a killed job leaves only whole ones, and keeps the last ``KEPT``.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mallocgame.system import checked_json as checked
from mallocgame.system.arrays import array_of
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import read_bytes, write_atomically
from mallocgame.system.printable import one_line
from mallocgame.system.progress import Progress
from mallocgame.system.zips import open_zip

MAGIC = "mallocgame-checkpoint"
VERSION = 1
KEPT = 3
MAX_CHECKPOINT_BYTES = 1 << 32
HEADER = "header"

_NAME = re.compile(r"checkpoint-(\d{8})\.mgc")


@dataclass(frozen=True)
class Checkpoint:
    """What a job goes on from.

    Attributes:
        header: JSON values: config, versions, counters, generator states.
        arrays: by name: parameters, optimiser state, replay.
    """

    header: dict[str, Any]
    arrays: Mapping[str, np.ndarray]


def file_of(folder: Path, iteration: int) -> Path:
    """Where the checkpoint after this many iterations is."""
    return folder / f"checkpoint-{iteration:08d}.mgc"


def files_in(folder: Path) -> list[Path]:
    """The checkpoints of a folder, newest first."""
    return sorted((path for path in folder.glob("checkpoint-*.mgc") if _NAME.fullmatch(path.name)), reverse=True)


def write(folder: Path, iteration: int, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint atomically and drop all but the newest ``KEPT``.

    Raises:
        BadInputError: it cannot be written.
    """
    buffer = io.BytesIO()
    header = np.frombuffer(json.dumps(checkpoint.header, allow_nan=False).encode(), np.uint8)
    np.savez(buffer, allow_pickle=False, **{HEADER: header}, **checkpoint.arrays)
    body = buffer.getvalue()
    path = file_of(folder, iteration)
    write_atomically(path, f"{MAGIC} {VERSION} {hashlib.sha256(body).hexdigest()}\n".encode() + body)
    for old in files_in(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def read(path: Path) -> Checkpoint:
    """The checkpoint in a file.

    Raises:
        BadInputError: it cannot be read, is damaged or of another version.
    """
    line, end, body = read_bytes(path, MAX_CHECKPOINT_BYTES).partition(b"\n")
    match = re.fullmatch(rf"{MAGIC} (\d{{1,9}}) ([0-9a-f]{{64}})\n", (line[:256] + end).decode("ascii", "replace"))
    if match is None:
        raise BadInputError(f"{path}: not a checkpoint, or its first line is damaged")
    if int(match[1]) != VERSION:
        raise BadInputError(f"{path}: a checkpoint of version {match[1]}; this mallocgame has {VERSION}")
    if hashlib.sha256(body).hexdigest() != match[2]:
        raise BadInputError(f"{path}: damaged: its content does not have the digest of its first line")
    try:
        arrays = _arrays(body)
    except (ValueError, OSError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        raise BadInputError(f"{path}: not an archive of arrays: {one_line(error, 200)}") from None
    header = checked.parse_json(arrays.pop(HEADER, np.zeros(0, np.uint8)).tobytes(), str(path))
    if not isinstance(header, dict):
        raise checked.bad(f"{path}: header", "an object", header)
    return Checkpoint(header, arrays)


def _arrays(body: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an npz archive, each no larger than its bytes there: nothing in it may be compressed."""
    found = {}
    with open_zip(io.BytesIO(body)) as archive:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(body):
                raise ValueError(f"{member.filename} is compressed")
            found[member.filename.removesuffix(".npy")] = array_of(archive.read(member))
    return found


def newest(folder: Path, progress: Progress) -> tuple[Path, Checkpoint] | None:
    """The newest checkpoint that is whole, or None if there is no file; each that is not is told of with its cause.

    Raises:
        BadInputError: there are files, and all of them are damaged.
    """
    refused = ""
    for path in files_in(folder):
        try:
            return path, read(path)
        except BadInputError as error:
            refused = str(error)
            progress(f"{refused}; the checkpoint before it is used")
    if refused:
        raise BadInputError(f"no checkpoint in {folder} is whole; the oldest: {refused}")
    return None
