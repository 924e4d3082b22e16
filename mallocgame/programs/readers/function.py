"""JAX functions by name, ``MODULE:FUNCTION``: they are compiled first."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.programs.compiled_file import capture_of_function
from mallocgame.programs.readers import capture
from mallocgame.programs.target_choice import target_chosen

if TYPE_CHECKING:
    from mallocgame.problem.schema import Target
    from mallocgame.programs.loaded import Loaded
    from mallocgame.system.progress import Progress

SUFFIXES: tuple[str, ...] = ()

_REFERENCE = re.compile(r"[^\W\d]\w*(\.\w+)*:[^\W\d]\w*")


def claims(path: Path) -> bool:
    """Whether a path that is none reads as ``MODULE:FUNCTION``."""
    return _REFERENCE.fullmatch(str(path)) is not None and not path.exists()


def read(path: Path, target: Target | None, progress: Progress) -> Loaded:
    """As ``Reader``; what is loaded is the capture."""
    chosen, why = target_chosen(target, progress)
    made = capture_of_function(str(path), chosen.name, progress)
    return replace(capture.read(made, chosen, progress), target_why=why)
