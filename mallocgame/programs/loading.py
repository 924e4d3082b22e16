"""FILE of the commands, read into a problem: a file of any of the kinds that ``readers`` has."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mallocgame.problem.given import Given
from mallocgame.problem.target_file import is_target_file, load_target
from mallocgame.problem.targets import get_target
from mallocgame.programs.readers import capture, dump_folder, function, hlo_text, module_file, problem_file
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress, silent

if TYPE_CHECKING:
    from mallocgame.problem.schema import Target
    from mallocgame.programs.loaded import Loaded


class Reader(Protocol):
    """Reads one kind of file or folder."""

    @property
    def SUFFIXES(self) -> tuple[str, ...]:  # noqa: N802 (a module's constant)
        """Ends of names by which a folder of many programs is searched."""

    def claims(self, path: Path, /) -> bool:
        """Whether a file or folder is of this kind, as far as its name and first bytes tell."""

    def read(self, path: Path, target: Target | None, progress: Progress, /) -> Loaded:
        """What it holds.

        Args:
            path: of a file or folder that it claims.
            target: that was asked for, if one was.
            progress: is told what takes long.

        Raises:
            BadInputError: it cannot be used, or is for another target.
            xla_dump_parser.ParseError: a text is damaged; with file, line and column.
        """


READERS: tuple[Reader, ...] = (function, dump_folder, problem_file, capture, module_file, hlo_text)
"""The first that claims a path reads it."""

SUFFIXES = tuple(suffix for reader in READERS for suffix in reader.SUFFIXES)
"""Of all kinds."""


def load(
    file: str | os.PathLike[str],
    target: str | None = None,
    *,
    module: str | None = None,
    any_backend: bool = False,
    given: Given | None = None,
    progress: Progress = silent,
) -> Loaded:
    """Read a file or folder by the first reader that claims it.

    Args:
        file: path.
        target: a name, or a target file that ``mallocgame probe --calibrate`` wrote, whose measured figures then take
            the place of the table's and of the log's. None for what the file says, else ``DEFAULT_TARGET``.
        module: of a dump folder with several; None for the largest.
        any_backend: whether a text that was compiled for no TPU will do.
        given: what the user says of it.
        progress: is told of a target that was not asked for, and of a compile, where the file is a program that has to
            be compiled first.

    Raises:
        CompilerRefusedError, NoAnswerError: a program does not compile.
        BadInputError: no such file, not readable, another target than the file's, or another backend.
        xla_dump_parser.ParseError: the text is damaged; with file, line and column.
    """
    measured = load_target(target) if target is not None and is_target_file(target) else None
    if measured is not None:
        loaded = _load(Path(file), measured.target, module, progress)
        problem = loaded.problem
        loaded = replace(loaded, problem=replace(problem, target=measured.applied_to(problem.target)))
    else:
        loaded = _load(Path(file), None if target is None else get_target(target), module, progress)
    if given:
        given.check(loaded.problem)
        loaded = replace(loaded, problem=given.applied_to(loaded.problem), given=given)
    if loaded.backend is not None and not any_backend:
        raise BadInputError(
            f"{file}: was compiled for a {loaded.backend}, and plans are for TPUs; `mallocgame inspect` tells its "
            "sizes, `mallocgame fit` takes the JAX function"
        )
    return loaded


def is_compiled_first(path: Path) -> bool:
    """Whether FILE is a program that is compiled before anything else is done with it."""
    return function.claims(path) or module_file.claims(path) or dump_folder.is_compiled(path)


def _load(path: Path, target: Target | None, module: str | None, progress: Progress) -> Loaded:
    """As ``load``."""
    try:
        if not (path.is_dir() or path.is_file() or function.claims(path)):
            raise BadInputError(f"{path}: {'not a file or folder' if path.exists() else 'no such file or folder'}")
        if module is not None and not path.is_dir():
            raise BadInputError(f"{path}: is one module, and --module is for dump folders of several")
        if module is not None:
            return dump_folder.read(path, target, progress, module)
        return next(reader for reader in READERS if reader.claims(path)).read(path, target, progress)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror or error}") from None
