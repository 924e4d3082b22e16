"""Programs of any framework that no compiler has scheduled yet: they are compiled first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.compiler.module_file import is_program
from mallocgame.programs.compiled_file import capture_of
from mallocgame.programs.readers import capture
from mallocgame.programs.target_choice import target_chosen

if TYPE_CHECKING:
    from mallocgame.problem.schema import Target
    from mallocgame.programs.loaded import Loaded
    from mallocgame.system.progress import Progress

SUFFIXES = (".mlir", ".mlir.gz", ".pb", ".pb.gz")

claims = is_program


def read(path: Path, target: Target | None, progress: Progress) -> Loaded:
    """As ``Reader``; what is loaded is the capture."""
    chosen, why = target_chosen(target, progress)
    return replace(capture.read(capture_of(path, chosen.name, progress), chosen, progress), target_why=why)
