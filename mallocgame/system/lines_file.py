"""Files of whole lines, appended to as each is done, so that an interrupted run loses nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from mallocgame.system.errors import BadInputError, NotWrittenError

MAX_FILE_BYTES = 1 << 30


class LinesFile:
    """An open file of lines; nobody else appends to it meanwhile.

    Attributes:
        lines: what it had when it was opened, without line ends.
    """

    def __init__(self, path: Path, file: FileIO) -> None:
        self._path, self._file = path, file
        self.lines = _whole_lines(path, file)
        file.truncate(file.tell())

    def append(self, line: bytes) -> None:
        """Add a line; it is on the disk when this returns, and not there at all if it cannot be.

        Raises:
            NotWrittenError: it cannot be written.
        """
        end = self._file.seek(0, os.SEEK_END)
        try:
            rest = line + b"\n"
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(end)
            raise NotWrittenError(f"{self._path}: cannot be written: {error.strerror}") from None


@contextmanager
def open_lines(path: Path) -> Iterator[LinesFile]:
    """Open for appending, and make the file if it is missing. A last line that was cut off is dropped.

    Raises:
        BadInputError: it cannot be opened, or another run appends to it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+b", buffering=0)  # noqa: SIM115
    except OSError as error:
        raise BadInputError(f"{path}: cannot be opened: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInputError(f"{path}: another run appends to it; wait for it or choose another --out") from None
        yield LinesFile(path, file)


def read_lines(path: Path) -> list[bytes]:
    """The lines of a file that have an end.

    Raises:
        BadInputError: it cannot be read or is too large.
    """
    try:
        with open(path, "rb") as file:
            return _whole_lines(path, file)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror}") from None


def _whole_lines(path: Path, file: BinaryIO) -> list[bytes]:
    """The lines that have an end; the file stands behind them."""
    file.seek(0)
    if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
        raise BadInputError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    data = file.read()
    end = data.rfind(b"\n") + 1
    file.seek(end)
    return data[:end].split(b"\n")[:-1]
