"""FILE of ``memory``: a compiled program with the compiler's own placement of all its values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mallocgame.compiler.capturing import capture
from mallocgame.compiler.failures import LeftBehind, OutOfMemoryError
from mallocgame.problem.schema import Target
from mallocgame.problem.target_file import is_target_file, load_target
from mallocgame.problem.targets import get_target
from mallocgame.programs.environment import init_args_of
from mallocgame.programs.loading import load
from mallocgame.programs.readers.dump_folder import compiled_dump
from mallocgame.programs.target_choice import ASKED
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress, Stage
from xla_dump_parser import parse_hlo, read_hlo, read_text
from xla_dump_parser.dump_modules import is_dump
from xla_dump_parser.hlo import HloModule


@dataclass(frozen=True)
class Placed:
    """A compiled program and where its values lie.

    Attributes:
        source: the path as given.
        module: after memory space assignment, with the names of ``buffer_assignment``.
        buffer_assignment: the compiler's text.
        memory_usage: its report of what is taken of each memory; empty where there is none.
        lowered: what was compiled, as StableHLO text, or as HLO text from before optimization; likewise.
        target: that it was compiled for.
        target_why: why it is for this target, in words of ``target_choice``.
        scoped_vmem_kib: the memory split it was compiled with; None for the compiler's default.
        code_bytes: of machine code; 0 where it is not known.
    """

    source: str
    module: HloModule
    buffer_assignment: str
    memory_usage: str
    lowered: str
    target: Target
    target_why: str = ASKED
    scoped_vmem_kib: int | None = None
    code_bytes: int = 0


def load_placed(file: str | os.PathLike[str], target: str | None, *, module: str | None, progress: Progress) -> Placed:
    """Read a file or folder. A dump of a compile is taken as it is, also of one that ran out of memory.

    What is compiled first and does not fit is what its compile left behind.

    Args:
        file: as ``mallocgame.programs.loading.load``, as the others.
        target: a name, or a target file.
        module: of a dump folder with several; None for the largest.
        progress: is told of a target that was not asked for, and of a compile.

    Raises:
        BadInputError: as ``load``, or it has no buffer assignment.
        CompilerRefusedError, NoAnswerError: a program does not compile, and left nothing to tell.
        xla_dump_parser.ParseError: a text is damaged.
    """
    path = Path(file)
    dumped = _of_dump(path, target, module, progress) if is_dump(path) else None
    if dumped is not None:
        return dumped
    try:
        loaded = load(path, target, module=module, progress=progress)
    except OutOfMemoryError as error:
        if error.left is None:
            raise
        return _of_left(error.left, str(path))
    if loaded.final is None or not loaded.buffer_assignment:
        raise BadInputError(
            f"{path}: has no buffer assignment, which says what lies where: give a capture, the dump folder of a "
            "compile, or a program to compile"
        )
    return Placed(
        str(path),
        loaded.final,
        loaded.buffer_assignment,
        loaded.memory_usage,
        loaded.lowered,
        loaded.problem.target,
        loaded.target_why,
        loaded.scoped_vmem_kib,
        loaded.code_bytes,
    )


def placed_program(
    program: object, args: Sequence[Any], kwargs: Mapping[str, Any], target: str | None, progress: Progress
) -> Placed:
    """Compile what JAX has of a program: a function with its arguments, a ``Traced`` or a ``Lowered``.

    Args:
        program: as ``mallocgame.compiler.stages.lower``, as the next two.
        args: of a function.
        kwargs: likewise, by name.
        target: None for that of a stage or of the arguments.
        progress: is told of the compile, and of flags that are left out.

    Raises:
        BadInputError: it cannot be lowered, or says no target where none is given.
        CompilerRefusedError, NoAnswerError: it does not compile, and left nothing to tell.
    """
    name = getattr(program, "fun_name", None) or getattr(program, "__name__", None) or "function"
    init_args, notes = init_args_of(os.environ)
    for note in (*notes, Stage(f"compiling {name}")):
        progress(note)
    try:
        kept = capture(program, args, target, kwargs=kwargs, init_args=init_args)
    except OutOfMemoryError as error:
        if error.left is None:
            raise
        return _of_left(error.left, name)
    return Placed(
        name,
        parse_hlo(kept.final, f"{name} (final)"),
        kept.buffer_assignment,
        kept.memory_usage,
        kept.lowered,
        get_target(kept.target),
        scoped_vmem_kib=kept.scoped_vmem_kib,
        code_bytes=kept.code_bytes,
    )


def _of_dump(path: Path, target: str | None, name: str | None, progress: Progress) -> Placed | None:
    """What a dump folder has of a compile; None where that is not all."""
    asked = None if target is None else load_target(target).target if is_target_file(target) else get_target(target)
    dump, program, chosen, why = compiled_dump(path, asked, name, progress)
    placed = dump.final or dump.optimized
    if placed is None or dump.buffer_assignment is None:
        return None
    usage = dump.memory_usage_report
    return Placed(
        str(path),
        read_hlo(placed),
        read_text(dump.buffer_assignment),
        "" if usage is None else read_text(usage),
        "" if program is None else read_text(program),
        chosen,
        why,
    )


def _of_left(left: LeftBehind, source: str) -> Placed:
    return Placed(
        source,
        parse_hlo(left.optimized, f"{source} (after optimizations)"),
        left.buffer_assignment,
        left.memory_usage,
        left.lowered,
        get_target(left.target),
    )
