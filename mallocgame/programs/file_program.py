"""FILE of the commands as something to optimize: a capture has its module, the others have nothing to compile."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mallocgame.compiler.capture_file import is_capture, load_capture
from mallocgame.compiler.module_file import is_program
from mallocgame.compiler.versions import versions_here
from mallocgame.plan.compiler_options import OptionValue
from mallocgame.problem.targets import get_target
from mallocgame.programs.compiled_file import capture_of, capture_of_function
from mallocgame.programs.loaded import needed_target
from mallocgame.programs.program import Program
from mallocgame.programs.readers import function
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress


@dataclass(frozen=True, slots=True)
class File:
    """A file or a dump folder that holds no module, or a capture where no compiler is installed.

    Attributes:
        path: where.
        target: that was asked for, if any.
        digest: 64 hex digits over its bytes and the target.
    """

    path: Path
    target: str | None
    digest: str


def file_program(
    path: Path,
    args: tuple[Any, ...],
    target: str | None,
    compiler_options: Mapping[str, OptionValue] | None,
    progress: Progress,
) -> Program | File:
    """The module of a capture with the options of its compile, or the file as it is; a program is captured first.

    Raises:
        BadInputError: no such file, one that cannot be read, a capture for another target, or arguments or options were
            given with it.
    """
    if args or compiler_options:
        raise BadInputError(f"{path}: a file takes no arguments and no compiler options")
    if function.claims(path):
        asked = needed_target(path, None if target is None else get_target(target), "a function")
        path = capture_of_function(str(path), asked.name, progress)
    if not path.exists():
        raise BadInputError(f"{path}: no such file or folder")
    if is_program(path) and target is not None and versions_here():
        path = capture_of(path, get_target(target).name, progress)
    if not is_capture(path) or not versions_here():
        return File(path, target, _digest(path, target))
    capture = load_capture(path)
    if target is not None and get_target(target).name != capture.target:
        raise BadInputError(f"{path}: was captured for {capture.target}, not for {target}; leave target out")
    return Program(capture.lowered, capture.target, capture.topology, capture.options, capture.init_args)


def _digest(path: Path, target: str | None) -> str:
    from xla_dump_parser import find_dump

    files = [path]
    if path.is_dir():
        dump = find_dump(path)
        files = [file for file in (dump.before_msa, dump.final, dump.log) if file is not None]
    digest = hashlib.sha256((target or "").encode())
    try:
        for file in files:
            with open(file, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()
