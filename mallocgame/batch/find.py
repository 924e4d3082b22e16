"""Which programs a folder or a glob stands for.

A folder is one program, a dump, if the program or schedule of a module lies in it, or nothing that is named as a
program is. Any other folder stands for the files in it that are named as a program is
(``mallocgame.programs.loading.SUFFIXES``) and for its dump folders. A glob stands for all that it matches, whatever the
names; the rest of a dump's ``.txt`` files are no programs, so a folder does not stand for these.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from mallocgame.programs.loading import SUFFIXES
from mallocgame.system.errors import BadInputError
from xla_dump_parser.dump_modules import is_dump


@dataclass(frozen=True, slots=True)
class Program:
    """A program of a batch.

    Attributes:
        path: of its file or dump folder.
        name: its path below the folder that was given, or below the part of the glob without wildcards; printable.
    """

    path: Path
    name: str


def is_batch(file: str | os.PathLike[str]) -> bool:
    """Whether FILE of ``solve`` stands for several programs: a glob that is no path, or a folder that is no dump."""
    path = Path(file)
    if path.is_dir():
        return not is_dump(path) and bool(_in_folder(path))
    return not os.path.lexists(path) and glob.has_magic(str(path))


def find_programs(file: str | os.PathLike[str]) -> tuple[Program, ...]:
    """The programs that FILE stands for, by name.

    Raises:
        BadInputError: there are none, or the folder cannot be read.
    """
    path = Path(file)
    if path.is_dir():
        found, base = _in_folder(path), path
    else:
        found, base = sorted(set(map(Path, glob.glob(str(path), recursive=True)))), _base(path)
        found = [entry for entry in found if not entry.is_dir() or is_dump(entry)]
    if not found:
        raise BadInputError(f"{path}: matches no file and no dump folder")
    return tuple(Program(entry, _printable(entry.relative_to(base).as_posix())) for entry in found)


def _printable(name: str) -> str:
    """A name in which line ends and bytes that are no text are written as escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def _in_folder(folder: Path) -> list[Path]:
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise BadInputError(f"{folder}: cannot be read: {error.strerror}") from None
    return [entry for entry in entries if (is_dump(entry) if entry.is_dir() else entry.name.endswith(SUFFIXES))]


def _base(pattern: Path) -> Path:
    """The folders of a glob before its first wildcard."""
    parts = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)
