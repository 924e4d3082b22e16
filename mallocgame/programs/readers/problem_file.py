"""Problem files (.mgp)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.plan.problem_file import is_problem_file, load_problem
from mallocgame.programs.loaded import Loaded
from mallocgame.programs.target_choice import target_said

if TYPE_CHECKING:
    from mallocgame.problem.schema import Target
    from mallocgame.system.progress import Progress

SUFFIXES = (".mgp",)

claims = is_problem_file


def read(path: Path, target: Target | None, progress: Progress) -> Loaded:
    """As ``Reader``."""
    found = load_problem(path)
    why = target_said(path, target, found.problem.target.name, progress)
    return Loaded(
        found.problem,
        str(path),
        default=found.default,
        versions=found.versions,
        scoped_vmem_kib=found.scoped_vmem_kib,
        target_why=why,
    )
