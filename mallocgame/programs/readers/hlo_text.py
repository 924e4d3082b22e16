"""Scheduled HLO texts from before memory space assignment, plain or gzipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.problem.build import build_problem
from mallocgame.programs.loaded import Loaded, needed_target
from mallocgame.system.errors import BadInputError
from xla_dump_parser import read_hlo, walk_shape

if TYPE_CHECKING:
    from mallocgame.problem.schema import Problem, Target
    from xla_dump_parser.hlo import HloModule

SUFFIXES = (".hlo", ".hlo.gz")

claims = Path.is_file


def read(path: Path, target: Target | None) -> Loaded:
    """As ``Reader``."""
    return of_module(path, read_hlo(path), needed_target(path, target, "an HLO text"))


def of_module(path: Path, module: HloModule, target: Target) -> Loaded:
    """What a schedule that was read from ``path`` holds.

    Raises:
        BadInputError: it does not hold together, is from before optimization, or memory space assignment has been over
            it.
    """
    if not module.is_scheduled:
        raise BadInputError(
            f"{path}: is not scheduled: a program from before optimization is compiled first, by `mallocgame capture "
            f"{path} --target '{target.name}' --out FILE.mgz`; give the file that this writes"
        )
    problem = build_problem(module, target)
    _check_before_msa(path, module, problem)
    return Loaded(problem, str(path))


def _check_before_msa(path: Path, module: HloModule, problem: Problem) -> None:
    """Refuse a schedule that MSA has been over: overrides act on the one before it, whose times are others."""
    space = problem.target.fast_space
    for computation in problem.computations:
        for step in module.computations[computation.name].instructions:
            if not step.opcode.endswith("-start"):
                continue
            if any(array.layout and array.layout.memory_space == space for _, array in walk_shape(step.shape)):
                raise BadInputError(
                    f"{path}:{step.line}: {step.name} copies to fast memory, so memory space assignment has been over "
                    "this schedule; give the one before it (after_optimizations_before_buffer_assignment of a dump)"
                )
