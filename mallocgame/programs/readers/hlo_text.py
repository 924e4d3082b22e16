"""Scheduled HLO texts from before memory space assignment, plain or gzipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.problem.backend import backend_of, is_untiled
from mallocgame.problem.build import build_problem
from mallocgame.programs.loaded import Loaded
from mallocgame.programs.target_choice import target_chosen
from mallocgame.system.errors import BadInputError
from xla_dump_parser import read_hlo, walk_shape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mallocgame.problem.schema import Target
    from mallocgame.system.progress import Progress
    from xla_dump_parser.hlo import Computation, HloModule

SUFFIXES = (".hlo", ".hlo.gz")

UNTILED = (
    "no array has tiles, as all of a TPU's program have: the text is of another backend or made by hand, and sizes are "
    "without padding"
)

claims = Path.is_file


def read(path: Path, target: Target | None, progress: Progress) -> Loaded:
    """As ``Reader``."""
    chosen, why = target_chosen(target, progress)
    return replace(of_module(path, read_hlo(path), chosen), target_why=why)


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
    computations = [module.computations[computation.name] for computation in problem.computations]
    backend = backend_of(module, computations)
    notes: tuple[str, ...] = ()
    if backend is not None:
        notes = (f"compiled for a {backend}, not a TPU: sizes are its own, times those of {target.name} for such work",)
    elif is_untiled(computations):
        notes = (UNTILED,)
    if backend is None:
        _check_before_msa(path, computations, target.fast_space)
    return Loaded(replace(problem, notes=(*problem.notes, *notes)), str(path), module, backend=backend)


def _check_before_msa(path: Path, computations: Iterable[Computation], fast_space: int) -> None:
    """Refuse a schedule that MSA has been over: overrides act on the one before it, whose times are others.

    What custom calls are given and give may be in fast memory before: their authors can ask for it.
    """
    for computation in computations:
        custom = {step.name for step in computation.instructions if step.opcode == "custom-call"}
        for step in computation.instructions:
            asked = step.name in custom or (step.opcode == "get-tuple-element" and step.operands[0] in custom)
            spaces = () if asked else (array.layout.memory_space for _, array in walk_shape(step.shape) if array.layout)
            if fast_space and fast_space in spaces:
                sign = "is in fast memory"
            elif '"estimated_cycles"' in step.attributes.get("backend_config", ""):
                sign = "has estimated cycles"
            else:
                continue
            raise BadInputError(
                f"{path}:{step.line}: {step.name} {sign}, so memory space assignment has been over this schedule; "
                "give the one before it (after_optimizations_before_buffer_assignment of a dump)"
            )
