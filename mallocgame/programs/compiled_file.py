"""A file of a program that no compiler has scheduled yet: compiled once by XLA's default, and kept as a capture."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from mallocgame.compiler.capturing import capture
from mallocgame.compiler.jax_settings import options_of_jax
from mallocgame.compiler.versions import installed_versions
from mallocgame.programs.environment import init_args_of
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import cache_folder
from mallocgame.system.progress import Progress


def capture_of(path: Path, target: str, progress: Progress) -> Path:
    """The capture of a module file for a target, in the folder ``captures`` of the user's cache.

    It is made anew for another content of the file, another target, other flags of libtpu and another compiler.

    Raises:
        BadInputError: the file is damaged or no program, or the cache cannot be written.
        CompilerRefusedError, NoAnswerError: as ``capture``.
    """
    try:
        folder = cache_folder() / "captures"
        folder.mkdir(parents=True, exist_ok=True)
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, RuntimeError) as error:
        raise BadInputError(
            f"{path}: cannot be compiled and kept in the user's cache ({getattr(error, 'strerror', None) or error}): "
            "set XDG_CACHE_HOME, or give what `mallocgame capture` writes"
        ) from None
    init_args, notes = init_args_of(os.environ)
    parts = (content, target, installed_versions(), init_args, options_of_jax())
    kept = folder / f"{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()}.mgz"
    if not kept.exists():
        for line in (*notes, f"compiling {path} for {target}"):
            progress(line)
        capture(str(path), None, target, kept, init_args=init_args)
    return kept
