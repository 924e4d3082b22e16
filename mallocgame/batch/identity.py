"""What a program's answer depends on, as one digest: its bytes and the options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from mallocgame.system.files import digest_of_file


def key_of(path: Path, options: Sequence[str]) -> str:
    """Hex digest of a program's content and of options."""
    parts = [mark for entry in _files(path) for mark in (entry.name, _digest(entry))]
    return hashlib.sha256(json.dumps([parts, list(options)]).encode()).hexdigest()


def _files(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


def _digest(path: Path) -> str:
    """Of a file's bytes; what cannot be read has the empty one, and its job says why."""
    try:
        if path.is_file():
            return digest_of_file(path) or ""
    except OSError:
        return ""
    return hashlib.sha256().hexdigest()
