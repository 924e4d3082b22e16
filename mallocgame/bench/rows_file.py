"""A file of rows, one a line: appended to as each is done, so that an interrupted run loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mallocgame.bench.rows import BenchRow, Key, from_json, to_json
from mallocgame.system.errors import BadInputError
from mallocgame.system.lines_file import LinesFile, open_lines, read_lines


class RowsFile:
    """An open file of rows; nobody else appends to it meanwhile.

    Attributes:
        rows: what it has, by key, in the order of the file.
    """

    def __init__(self, path: Path, file: LinesFile) -> None:
        self._file = file
        self.rows: dict[Key, BenchRow] = {}
        for number, line in enumerate(file.lines, 1):
            row = from_json(line, f"{path}:{number}")
            if row.key in self.rows:
                raise BadInputError(f"{path}:{number}: a second row of {', '.join(map(str, row.key))}")
            self.rows[row.key] = row

    def append(self, row: BenchRow) -> None:
        """Add a row; it is on the disk when this returns.

        Raises:
            BadInputError: it cannot be written.
        """
        self._file.append(to_json(row).encode())
        self.rows[row.key] = row


@contextmanager
def open_rows(path: Path) -> Iterator[RowsFile]:
    """Open for appending, and make the file if it is missing. A last line that was cut off is dropped.

    Raises:
        BadInputError: it cannot be opened, another run appends to it, or a line is no row.
    """
    with open_lines(path) as file:
        yield RowsFile(path, file)


def read_rows(path: Path) -> list[BenchRow]:
    """All rows of a file.

    Raises:
        BadInputError: it cannot be read, or a line is no row.
    """
    return [from_json(line, f"{path}:{number}") for number, line in enumerate(read_lines(path), 1)]


def read_row(reference: str) -> BenchRow:
    """The row at ``FILE:LINE``, lines from 1.

    Raises:
        BadInputError: there is none.
    """
    name, _, number = reference.rpartition(":")
    if not name or not number.isascii() or not number.isdigit() or not 1 <= len(number) <= 9:
        raise BadInputError(f"{reference!r} is not FILE:LINE")
    lines = read_lines(Path(name))
    if not 1 <= int(number) <= len(lines):
        raise BadInputError(f"{name}: has {len(lines)} rows, none in line {number}")
    return from_json(lines[int(number) - 1], reference)
