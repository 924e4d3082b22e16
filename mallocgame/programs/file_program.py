"""FILE of the commands as something to optimize: most have a module to compile, the others nothing."""

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
from mallocgame.programs.compiled_file import capture_of_function
from mallocgame.programs.dump_program import chosen_module
from mallocgame.programs.loading import load
from mallocgame.programs.program import Program, program_of
from mallocgame.programs.readers import dump_folder, function
from mallocgame.programs.target_choice import target_chosen
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress


@dataclass(frozen=True, slots=True)
class File:
    """A file or a dump folder that holds no module, or a capture or dump where no compiler is installed.

    Attributes:
        path: where.
        target: that was asked for, if any.
        module: of a dump folder, if one was named.
        digest: 64 hex digits over its bytes and the target.
    """

    path: Path
    target: str | None
    module: str | None
    digest: str


def file_program(
    path: Path,
    args: tuple[Any, ...],
    target: str | None,
    module: str | None,
    compiler_options: Mapping[str, OptionValue] | None,
    progress: Progress,
) -> Program | File:
    """The module of a module file, of a capture or of a dump with the options of its compile, or the file as it is.

    Raises:
        BadInputError: no such file, one that cannot be read, one for another target, or arguments or options were given
            with it; a module file takes options.
        CompilerRefusedError, NoAnswerError: a program does not compile.
        xla_dump_parser.ParseError: a dump is damaged.
    """
    if function.claims(path):
        asked, _ = target_chosen(None if target is None else get_target(target), progress)
        path = capture_of_function(str(path), asked.name, progress)
    if not path.exists():
        raise BadInputError(f"{path}: no such file or folder")
    program = is_program(path)
    if args or (compiler_options and not program):
        raise BadInputError(f"{path}: a file takes no arguments, and compiler options only where it is a module")
    if module is not None and not path.is_dir():
        raise BadInputError(f"{path}: is one module, and module= is for dump folders of several")
    if program:
        return program_of(path, (), {}, target, compiler_options, progress)
    if not versions_here() or not (is_capture(path) or dump_folder.is_compiled(path)):
        return File(path, target, module, _digest(path, target, module))
    notes: tuple[str, ...] = ()
    if path.is_dir():
        loaded = load(path, target, module=module, progress=progress)
        path, notes, target = Path(loaded.source), loaded.problem.notes, None
    capture = load_capture(path)
    if target is not None and get_target(target).name != capture.target:
        raise BadInputError(f"{path}: was captured for {capture.target}, not for {target}; leave target out")
    return Program(capture.lowered, capture.target, capture.topology, capture.options, capture.init_args, notes)


def _digest(path: Path, target: str | None, module: str | None) -> str:
    files = [path]
    if path.is_dir():
        files = list(chosen_module(path, module)[0].files.values())
    digest = hashlib.sha256((target or "").encode())
    try:
        for file in files:
            with open(file, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()
