"""Folders that ``xla_dump_to`` wrote: the schedule before MSA, and what else of the compile lies beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.problem.build import build_problem
from mallocgame.problem.target_log import target_from_log
from mallocgame.programs.loaded import Loaded, needed_target
from xla_dump_parser import find_dump, read_hlo, read_text
from xla_dump_parser.compile_log import parse_compile_log

if TYPE_CHECKING:
    from mallocgame.problem.schema import Target
    from mallocgame.system.progress import Progress

SUFFIXES: tuple[str, ...] = ()

claims = Path.is_dir


def read(path: Path, target: Target | None, _: Progress) -> Loaded:
    """As ``Reader``."""
    chosen = needed_target(path, target, "a dump folder")
    dump = find_dump(path)
    module = read_hlo(dump.before_msa)
    final = read_hlo(dump.final) if dump.final is not None else None
    addresses = read_text(dump.buffer_assignment) if dump.buffer_assignment is not None else ""
    if dump.log is None:
        return Loaded(build_problem(module, chosen, final=final), str(path), module, final, buffer_assignment=addresses)
    log = parse_compile_log(read_text(dump.log))
    problem = build_problem(module, target_from_log(chosen, log), log, final)
    return Loaded(problem, str(path), module, final, buffer_assignment=addresses)
