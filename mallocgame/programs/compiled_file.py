"""A file of a program that no compiler has scheduled yet: compiled once by XLA's default, and kept as a capture."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mallocgame.compiler.capturing import capture
from mallocgame.compiler.versions import installed_versions
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import cache_folder
from mallocgame.system.progress import Progress


def capture_of(path: Path, target: str, progress: Progress) -> Path:
    """The capture of a module file for a target, in the folder ``captures`` of the user's cache.

    It is made anew for another content of the file, another target and another compiler.

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
    key = hashlib.sha256(json.dumps([content, target, installed_versions()], sort_keys=True).encode()).hexdigest()
    kept = folder / f"{key}.mgz"
    if not kept.exists():
        progress(f"compiling {path} for {target}")
        capture(str(path), None, target, kept)
    return kept
