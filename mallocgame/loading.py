"""FILE of the commands: a capture, a problem file, a dump folder or an HLO text, read into a problem."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.errors import BadInputError

if TYPE_CHECKING:
    from mallocgame.calibration.table import CycleTable
    from mallocgame.compiler import Capture
    from mallocgame.problem.problem_file import Default
    from mallocgame.problem.schema import Problem, Target
    from xla_dump_parser.hlo import HloModule


@dataclass(frozen=True)
class Loaded:
    """What a FILE holds.

    Attributes:
        problem: the schedule before MSA, as a problem.
        source: the path as given.
        final: the compiled module with XLA's own placement, where the file has it.
        default: XLA's own placement with its figures, where the file has these instead.
        versions: of what compiled it, e.g. ``{"libtpu": "0.0.52"}``, as far as the file says.
        scoped_vmem_kib: the memory split it was compiled with; None for the compiler's default.
        buffer_assignment: text with the addresses of ``final``; empty where the file does not have it.
    """

    problem: Problem
    source: str
    final: HloModule | None = None
    default: Default | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    scoped_vmem_kib: int | None = None
    buffer_assignment: str = ""

    def default_seconds(self) -> float | None:
        """Seconds under M of XLA's own placement, where the file has it."""
        from mallocgame.replay import replay_final

        if self.default is not None:
            return self.default.m_seconds
        return None if self.final is None else replay_final(self.problem, self.final, "M").total

    def model_e(self) -> tuple[CycleTable | None, tuple[float, float] | None]:
        """What E is predicted from, and seconds of XLA's own placement under E and M; where the file has its text."""
        from mallocgame.calibration.observe import observe_final
        from mallocgame.calibration.table import CycleTable
        from mallocgame.replay import replay_final

        if self.final is None:
            return None, None
        table = CycleTable(self.problem)
        observe_final(self.problem, self.final, table)
        e, m = (replay_final(self.problem, self.final, model).total for model in ("E", "M"))
        return table, (e, m)


def load(file: str | os.PathLike[str], target: str | None = None) -> Loaded:
    """Read a capture (.mgz), a problem file (.mgp), a dump folder, or an HLO text (plain or .gz).

    Args:
        file: path.
        target: a name, or a target file that ``mallocgame probe --calibrate`` wrote, whose measured figures then take
            the place of the table's and of the log's. Needed unless ``file`` is a capture or a problem file.

    Raises:
        BadInputError: no such file, not readable, no target, or another target than the file's.
        xla_dump_parser.ParseError: the text is damaged; with file, line and column.
    """
    from mallocgame.problem.target_file import is_target_file, load_target
    from mallocgame.problem.targets import get_target

    if target is None or not is_target_file(target):
        return _load(Path(file), None if target is None else get_target(target))
    measured = load_target(target)
    loaded = _load(Path(file), measured.target)
    problem = loaded.problem
    return replace(loaded, problem=replace(problem, target=measured.applied_to(problem.target)))


def _load(path: Path, target: Target | None) -> Loaded:
    """As ``load``."""
    from mallocgame.problem.problem_file import is_problem_file

    try:
        if not path.exists():
            raise BadInputError(f"{path}: no such file or folder")
        if path.is_dir():
            return _from_folder(path, target)
        if not path.is_file():
            raise BadInputError(f"{path}: not a file or folder")
        if is_problem_file(path):
            return _from_problem_file(path, target)
        if _is_capture(path):
            return _from_capture(path, target)
        return _from_text(path, target)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror or error}") from None


def _is_capture(path: Path) -> bool:
    from mallocgame.compiler import is_capture

    return is_capture(path)


def _from_capture(path: Path, target: Target | None) -> Loaded:
    from mallocgame.compiler import load_capture

    capture = load_capture(path)
    _check_target(path, target, capture.target)
    return of_capture(capture, path)


def of_capture(capture: Capture, path: Path) -> Loaded:
    """What the capture that was read from ``path`` holds.

    Raises:
        xla_dump_parser.ParseError: its texts are damaged.
    """
    from xla_dump_parser import parse_hlo

    return Loaded(
        capture.problem(),
        str(path),
        final=parse_hlo(capture.final, f"{path} (final)"),
        versions=capture.versions,
        scoped_vmem_kib=capture.scoped_vmem_kib,
        buffer_assignment=capture.buffer_assignment,
    )


def _from_problem_file(path: Path, target: Target | None) -> Loaded:
    from mallocgame.problem.problem_file import load_problem

    found = load_problem(path)
    _check_target(path, target, found.problem.target.name)
    return Loaded(
        found.problem,
        str(path),
        default=found.default,
        versions=found.versions,
        scoped_vmem_kib=found.scoped_vmem_kib,
    )


def _check_target(path: Path, asked: Target | None, captured: str) -> None:
    if asked is not None and asked.name != captured:
        raise BadInputError(f"{path}: was captured for {captured}, not for {asked.name}; leave --target out")


def _from_folder(path: Path, target: Target | None) -> Loaded:
    from mallocgame.problem import build_problem
    from mallocgame.problem.targets import target_from_log
    from xla_dump_parser import find_dump, read_hlo, read_text
    from xla_dump_parser.compile_log import parse_compile_log

    chosen = _needed(path, target, "a dump folder")
    dump = find_dump(path)
    module = read_hlo(dump.before_msa)
    final = read_hlo(dump.final) if dump.final is not None else None
    addresses = read_text(dump.buffer_assignment) if dump.buffer_assignment is not None else ""
    if dump.log is None:
        return Loaded(build_problem(module, chosen, final=final), str(path), final, buffer_assignment=addresses)
    log = parse_compile_log(read_text(dump.log))
    problem = build_problem(module, target_from_log(chosen, log), log, final)
    return Loaded(problem, str(path), final, buffer_assignment=addresses)


def _from_text(path: Path, target: Target | None) -> Loaded:
    from mallocgame.problem import build_problem
    from xla_dump_parser import read_hlo

    chosen = _needed(path, target, "an HLO text")
    module = read_hlo(path)
    problem = build_problem(module, chosen)
    _check_before_msa(path, module, problem)
    return Loaded(problem, str(path))


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


def _needed(path: Path, target: Target | None, what: str) -> Target:
    from mallocgame.problem.targets import TARGETS

    if target is None:
        raise BadInputError(
            f"{path}: {what} does not say which chip it is for: add --target, one of: {', '.join(TARGETS)}"
        )
    return target
