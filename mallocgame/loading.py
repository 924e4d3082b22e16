"""FILE of the commands: a capture, a dump folder or an HLO text, read into a problem."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.errors import BadInputError

if TYPE_CHECKING:
    from mallocgame.compiler import Capture
    from mallocgame.problem.schema import Problem
    from xla_dump_parser.hlo import HloModule


@dataclass(frozen=True)
class Loaded:
    """What a FILE holds.

    Attributes:
        problem: the schedule before MSA, as a problem.
        final: the compiled module with XLA's own placement, where the file has it.
        capture: the capture it was read from, or None.
        source: the path as given.
    """

    problem: Problem
    final: HloModule | None
    capture: Capture | None
    source: str


def load(file: str | os.PathLike[str], target: str | None = None) -> Loaded:
    """Read a capture (.mgz), a dump folder, or an HLO text (plain or .gz).

    Args:
        file: path.
        target: needed unless ``file`` is a capture, which knows its own.

    Raises:
        BadInputError: no such file, not readable, no target, or another target than the capture's.
        xla_dump_parser.ParseError: the text is damaged; with file, line and column.
    """
    path = Path(file)
    try:
        if not path.exists():
            raise BadInputError(f"{path}: no such file or folder")
        if path.is_dir():
            return _from_folder(path, target)
        if not path.is_file():
            raise BadInputError(f"{path}: not a file or folder")
        if _is_capture(path):
            return _from_capture(path, target)
        return _from_text(path, target)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror or error}") from None


def _is_capture(path: Path) -> bool:
    from mallocgame.compiler import is_capture

    return is_capture(path)


def _from_capture(path: Path, target: str | None) -> Loaded:
    from mallocgame.compiler import load_capture
    from mallocgame.problem.targets import get_target
    from xla_dump_parser import parse_hlo

    capture = load_capture(path)
    if target is not None and get_target(target).name != capture.target:
        raise BadInputError(f"{path}: was captured for {capture.target}, not for {target}; leave --target out")
    return Loaded(capture.problem(), parse_hlo(capture.final, f"{path} (final)"), capture, str(path))


def _from_folder(path: Path, target: str | None) -> Loaded:
    from mallocgame.problem import build_problem
    from mallocgame.problem.targets import get_target, target_from_log
    from xla_dump_parser import find_dump, read_hlo, read_text
    from xla_dump_parser.compile_log import parse_compile_log

    chosen = get_target(_needed(path, target, "a dump folder"))
    dump = find_dump(path)
    module = read_hlo(dump.before_msa)
    final = read_hlo(dump.final) if dump.final is not None else None
    if dump.log is None:
        return Loaded(build_problem(module, chosen, final=final), final, None, str(path))
    log = parse_compile_log(read_text(dump.log))
    return Loaded(build_problem(module, target_from_log(chosen, log), log, final), final, None, str(path))


def _from_text(path: Path, target: str | None) -> Loaded:
    from mallocgame.problem import build_problem
    from mallocgame.problem.targets import get_target
    from xla_dump_parser import read_hlo

    chosen = get_target(_needed(path, target, "an HLO text"))
    module = read_hlo(path)
    problem = build_problem(module, chosen)
    _check_before_msa(path, module, problem)
    return Loaded(problem, None, None, str(path))


def _check_before_msa(path: Path, module: HloModule, problem: Problem) -> None:
    """Refuse a schedule that MSA has been over: overrides act on the one before it, whose times are others."""
    from xla_dump_parser import walk_shape

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


def _needed(path: Path, target: str | None, what: str) -> str:
    from mallocgame.problem.targets import TARGETS

    if target is None:
        raise BadInputError(
            f"{path}: {what} does not say which chip it is for: add --target, one of: {', '.join(TARGETS)}"
        )
    return target
