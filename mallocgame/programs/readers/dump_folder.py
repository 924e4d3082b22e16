"""Folders that ``xla_dump_to`` wrote: a program to compile, else its schedule before MSA and what lies beside that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.compiler.kernels.reading import kernel_costs
from mallocgame.compiler.versions import versions_here
from mallocgame.problem.build import build_problem
from mallocgame.problem.targets import get_target
from mallocgame.programs.compiled_file import capture_of_dump
from mallocgame.programs.dump_program import chosen_module, dumped_target, program_of_dump
from mallocgame.programs.loaded import Loaded
from mallocgame.programs.readers import capture
from mallocgame.programs.target_choice import target_chosen, target_said
from mallocgame.system.errors import BadInputError, CompilerRefusedError, NoAnswerError
from xla_dump_parser import find_dump, read_hlo, read_text
from xla_dump_parser.compile_log import parse_compile_log
from xla_dump_parser.dump_modules import has_program

if TYPE_CHECKING:
    from mallocgame.problem.schema import Target
    from mallocgame.programs.dump_program import DumpProgram
    from mallocgame.system.progress import Progress
    from xla_dump_parser import Dump, DumpModule

SUFFIXES: tuple[str, ...] = ()

claims = Path.is_dir


def is_compiled(path: Path) -> bool:
    """Whether a dump's program is compiled anew: it has one, and there is a compiler here."""
    return path.is_dir() and has_program(path) and bool(versions_here())


def read(path: Path, target: Target | None, progress: Progress, name: str | None = None) -> Loaded:
    """As ``Reader``; of several modules the one of this name, else the largest. What is compiled is its capture.

    Where the compiler refuses it, as where it does not fit, the schedule that the folder has is read.
    """
    module, notes, chosen, why = _chosen(path, target, name, progress)
    loaded = None
    if module.program is not None and (versions_here() or not module.scheduled):
        program = program_of_dump(module, chosen.name)
        notes += program.notes
        try:
            loaded = capture.read(capture_of_dump(program, progress), chosen, progress)
        except (CompilerRefusedError, NoAnswerError) as error:
            if not module.scheduled:
                raise
            notes += (f"not compiled anew: {error}",)
            progress(notes[-1])
    loaded = loaded or _schedule(path, module.beginning, chosen)
    problem = replace(loaded.problem, notes=(*loaded.problem.notes, *notes))
    return replace(loaded, problem=problem, target_why=why)


def dump_program(path: Path, target: Target | None, name: str | None, progress: Progress) -> DumpProgram:
    """The program of a dump folder, and how it is to be compiled; arguments as ``read``.

    Raises:
        BadInputError: it has none, or is for another target.
        xla_dump_parser.ParseError: the folder or a file cannot be read.
    """
    module, _, chosen, _ = _chosen(path, target, name, progress)
    if module.program is None:
        raise BadInputError(
            f"{path}: has the schedule of {module.name}, but no before_optimizations, which is what is compiled"
        )
    return program_of_dump(module, chosen.name)


def compiled_dump(
    path: Path, target: Target | None, name: str | None, progress: Progress
) -> tuple[Dump, Path | None, Target, str]:
    """The files of a dump folder's module, its program as text, its target, and why it is that; nothing is compiled.

    Arguments as ``read``.

    Raises:
        BadInputError: it is for another target.
        xla_dump_parser.ParseError: the folder has no schedule, or cannot be read.
    """
    module, _, chosen, why = _chosen(path, target, name, progress)
    program = module.program
    text = program if program is not None and program.name.endswith((".txt", ".txt.gz")) else None
    return find_dump(path, module.beginning), text, chosen, why


def _chosen(
    path: Path, target: Target | None, name: str | None, progress: Progress
) -> tuple[DumpModule, tuple[str, ...], Target, str]:
    """The module that is meant, what is to be told of it, its target, and why it is that."""
    module, listing = chosen_module(path, name)
    chosen, why = _target(path, module, target, progress)
    notes = () if listing is None else (listing,)
    for note in notes:
        progress(note)
    return module, notes, chosen, why


def _target(path: Path, module: DumpModule, asked: Target | None, progress: Progress) -> tuple[Target, str]:
    said = dumped_target(module)
    if said is None:
        return target_chosen(asked, progress)
    why = target_said(path, asked, said[0], progress)
    return asked or get_target(said[0]), why


def _schedule(path: Path, module: str, target: Target) -> Loaded:
    dump = find_dump(path, module)
    scheduled = read_hlo(dump.before_msa)
    final = read_hlo(dump.final) if dump.final is not None else None
    addresses = read_text(dump.buffer_assignment) if dump.buffer_assignment is not None else ""
    kernels = kernel_costs(scheduled)
    if dump.log is None:
        problem = build_problem(scheduled, target, final=final, kernels=kernels)
    else:
        problem = build_problem(scheduled, target, parse_compile_log(read_text(dump.log)), final, kernels)
    usage = read_text(dump.memory_usage_report) if dump.memory_usage_report is not None else ""
    return Loaded(problem, str(path), scheduled, final, buffer_assignment=addresses, memory_usage=usage)
