"""A file of rows, one a line: appended to as each is done, so that an interrupted run loses nothing."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mallocgame.bench.rows import BenchRow, Key, from_json, to_json
from mallocgame.errors import BadInputError

MAX_FILE_BYTES = 1 << 30


class RowsFile:
    """An open file of rows; nobody else appends to it meanwhile.

    Attributes:
        rows: what it has, by key, in the order of the file.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._file = file
        self.rows: dict[Key, BenchRow] = {}
        for number, line in enumerate(_whole_lines(path, file), 1):
            row = from_json(line, f"{path}:{number}")
            if row.key in self.rows:
                raise BadInputError(f"{path}:{number}: a second row of {', '.join(map(str, row.key))}")
            self.rows[row.key] = row
        file.truncate(file.tell())

    def append(self, row: BenchRow) -> None:
        """Add a row; it is on the disk when this returns."""
        self._file.write(to_json(row).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.rows[row.key] = row


@contextmanager
def open_rows(path: Path) -> Iterator[RowsFile]:
    """Open for appending, and make the file if it is missing. A last line that was cut off is dropped.

    Raises:
        BadInputError: it cannot be opened, another run appends to it, or a line is no row.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+b")  # noqa: SIM115
    except OSError as error:
        raise BadInputError(f"{path}: cannot be opened: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInputError(f"{path}: another run appends to it; wait for it or choose another --out") from None
        yield RowsFile(path, file)


def read_row(reference: str) -> BenchRow:
    """The row at ``FILE:LINE``, lines from 1.

    Raises:
        BadInputError: there is none.
    """
    name, _, number = reference.rpartition(":")
    if not name or not number.isascii() or not number.isdigit() or not 1 <= len(number) <= 9:
        raise BadInputError(f"{reference!r} is not FILE:LINE")
    lines = _read(Path(name))
    if not 1 <= int(number) <= len(lines):
        raise BadInputError(f"{name}: has {len(lines)} rows, none in line {number}")
    return from_json(lines[int(number) - 1], reference)


def _read(path: Path) -> Sequence[bytes]:
    try:
        with open(path, "rb") as file:
            return _whole_lines(path, file)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror}") from None


def _whole_lines(path: Path, file: BinaryIO) -> list[bytes]:
    """The lines that have an end; the file stands behind them."""
    file.seek(0)
    data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise BadInputError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    end = data.rfind(b"\n") + 1
    file.seek(end)
    return data[:end].splitlines()
