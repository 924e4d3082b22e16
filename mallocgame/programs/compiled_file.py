"""Programs that no compiler has scheduled yet: compiled by XLA's default, and kept as captures in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.compiler.capture_file import save_capture
from mallocgame.compiler.capturing import capture
from mallocgame.compiler.jax_settings import options_of_jax
from mallocgame.compiler.versions import installed_versions
from mallocgame.programs.environment import init_args_of
from mallocgame.programs.module_text import digest
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import cache_folder
from mallocgame.system.progress import Progress, Stage

if TYPE_CHECKING:
    from mallocgame.programs.dump_program import DumpProgram

_EDITION = 2
"""Of what captures keep: those of before it had the size of code are made anew."""


def capture_of(path: Path, target: str, progress: Progress) -> Path:
    """The capture of a module file for a target, in the folder ``captures`` of the user's cache.

    It is made anew for another content of the file, another target, other flags of libtpu and another compiler.

    Raises:
        BadInputError: the file is damaged or no program, or the cache cannot be written.
        CompilerRefusedError, NoAnswerError: as ``capture``.
    """
    init_args, notes = init_args_of(os.environ)
    for note in notes:
        progress(note)
    return _kept(path, target, None, {}, init_args, options_of_jax(), progress)


def capture_of_dump(program: DumpProgram, progress: Progress) -> Path:
    """Likewise of the program of a dump, with the devices, options and flags that it says; not those of this process.

    Raises:
        BadInputError, CompilerRefusedError, NoAnswerError: as ``capture_of``.
    """
    target = program.target
    return _kept(program.text, target, program.topology or target, program.options, (), {}, progress)


def _kept(
    path: Path,
    target: str,
    topology: str | None,
    options: Mapping[str, str],
    init_args: tuple[str, ...],
    settings: Mapping[str, str],
    progress: Progress,
) -> Path:
    try:
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _not_kept(str(path), error) from None
    parts = (content, target, installed_versions(), init_args, settings, topology, options)
    kept = _folder(str(path)) / _name(parts)
    if not kept.exists():
        progress(Stage(f"compiling {path} for {target}"))
        capture(str(path), None, target, kept, topology=topology, options=options, init_args=init_args)
    return kept


def capture_of_function(reference: str, target: str, progress: Progress) -> Path:
    """The capture of ``MODULE:FUNCTION`` for a target, in the same folder; compiled each time, for code changes.

    It is kept under what was lowered, so that an answer finds the program again that it is for.

    Raises:
        BadInputError: the function cannot be found or lowered, or the cache cannot be written.
        CompilerRefusedError, NoAnswerError: as ``capture``.
    """
    folder = _folder(reference)
    init_args, notes = init_args_of(os.environ)
    for line in (*notes, f"compiling {reference} for {target}"):
        progress(line)
    made = capture(reference, None, target, init_args=init_args)
    parts = (reference, digest(made.lowered), made.topology, dict(made.versions), init_args, dict(made.options))
    kept = folder / _name(parts)
    if not kept.exists():
        save_capture(made, kept)
    return kept


def _name(parts: Sequence[object]) -> str:
    return f"{hashlib.sha256(json.dumps((_EDITION, *parts), sort_keys=True).encode()).hexdigest()}.mgz"


def _folder(program: str) -> Path:
    """The folder of the captures, made if it is missing."""
    try:
        folder = cache_folder() / "captures"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise _not_kept(program, error) from None
    return folder


def _not_kept(program: str, error: OSError | RuntimeError) -> BadInputError:
    return BadInputError(
        f"{program}: cannot be compiled and kept in the user's cache ({getattr(error, 'strerror', None) or error}): "
        "set XDG_CACHE_HOME, or give what `mallocgame capture` writes"
    )
