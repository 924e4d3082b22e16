"""Scheduled HLO texts from before or after memory space assignment, plain or gzipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.compiler.kernels.reading import kernel_costs
from mallocgame.problem.backend import backend_of, is_untiled
from mallocgame.problem.build import build_problem
from mallocgame.problem.lifting.lift import lift
from mallocgame.problem.lifting.marks import mark_of_msa
from mallocgame.problem.schedule import scheduled_computations
from mallocgame.programs.loaded import Loaded
from mallocgame.programs.target_choice import target_chosen
from mallocgame.system.errors import BadInputError
from xla_dump_parser import read_hlo

if TYPE_CHECKING:
    from mallocgame.problem.schema import Target
    from mallocgame.system.progress import Progress
    from xla_dump_parser.hlo import HloModule

SUFFIXES = (".hlo", ".hlo.gz")

UNTILED = (
    "no array has tiles, as all of a TPU's program have: the text is of another backend or made by hand, and sizes are "
    "without padding"
)

AFTER_MSA = (
    "a text after memory space assignment: its copies were taken out again ({copies}), XLA's placement is the default"
)

MADE_ANEW = (
    "names and places of tuples, bitcasts and what else moves no bytes are the text's, others than before memory space "
    "assignment: capture the program where a plan is to be compiled"
)

PUT_BACK = "copies that stand for synchronous ones or slices, put back where they ended, names lost: {count}: {names}"

claims = Path.is_file


def read(path: Path, target: Target | None, progress: Progress) -> Loaded:
    """As ``Reader``."""
    chosen, why = target_chosen(target, progress)
    return replace(of_module(path, read_hlo(path), chosen), target_why=why)


def of_module(path: Path, module: HloModule, target: Target) -> Loaded:
    """What a schedule that was read from ``path`` holds.

    Raises:
        BadInputError: it does not hold together, is from before optimization, or memory space assignment has been over
            it and cannot be taken back.
    """
    if not module.is_scheduled:
        raise BadInputError(
            f"{path}: is not scheduled: a program from before optimization is compiled first, by `mallocgame capture "
            f"{path} --target '{target.name}' --out FILE.mgz`; give the file that this writes"
        )
    computations = list(scheduled_computations(module))
    backend = backend_of(module, computations)
    if backend is None and mark_of_msa(computations, target.fast_space) is not None:
        return _after_msa(path, module, target)
    problem = build_problem(module, target, kernels=kernel_costs(module))
    notes: tuple[str, ...] = ()
    if backend is not None:
        notes = (f"compiled for a {backend}, not a TPU: sizes are its own, times those of {target.name} for such work",)
    elif is_untiled(computations):
        notes = (UNTILED,)
    return Loaded(replace(problem, notes=(*problem.notes, *notes)), str(path), module, backend=backend)


def _after_msa(path: Path, module: HloModule, target: Target) -> Loaded:
    """The schedule before memory space assignment, and what it has made of it as the default."""
    lifted = lift(module, target)
    problem = build_problem(lifted.module, target, final=module, kernels=kernel_costs(lifted.module))
    notes = [*problem.notes, AFTER_MSA.format(copies=lifted.copies), MADE_ANEW]
    if lifted.restored:
        notes.append(PUT_BACK.format(names=", ".join(lifted.restored[:3]), count=len(lifted.restored)))
    return Loaded(replace(problem, notes=tuple(notes)), str(path), lifted.module, module)
