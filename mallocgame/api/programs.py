"""Programs: from a function to a capture, and what is in one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mallocgame.api.arguments import PathLike
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import check_writable, write_atomically
from mallocgame.system.progress import Progress, Stage, silent

if TYPE_CHECKING:
    from mallocgame.compiler.capture import Capture
    from mallocgame.problem.given import Trips
    from mallocgame.programs.placed import Placed
    from mallocgame.report.inspection import Inspection
    from mallocgame.report.memory import MemoryUse
    from mallocgame.report.memory.difference import MemoryDiff

MemoryFormat = Literal["html", "pprof", "trace"]


def capture(
    reference: object,
    *,
    target: str | None = None,
    out: PathLike,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    workload: bool = False,
    module: str | None = None,
    scoped_vmem_kib: int | None = None,
    calibrate: int = 0,
    progress: Progress | None = None,
) -> Capture:
    """Compile a program for a target and keep what is needed in one file.

    ``LIBTPU_INIT_ARGS`` and the settings of JAX that change a compile are part of the program, and of the file.

    Args:
        reference: ``MODULE:FUNCTION``, the path of a module file (``mallocgame.compiler.module_file``), or with
            ``workload`` the name of one of ``workloads.names()``. The function takes nothing and returns (function,
            abstract arguments), these with a dictionary of arguments by name, or a ``jax.stages.Traced`` or
            ``Lowered``. Or the path of a dump folder with a program. Or such a stage or a function itself.
        target: e.g. ``"v5p"``. None for what a stage, its arguments or a dump says, else for ``DEFAULT_TARGET`` where
            ``reference`` is a text.
        out: the capture file to write.
        args: abstract arguments where a function itself is given.
        kwargs: likewise, by name.
        module: of a dump folder with several; None for the largest.
        scoped_vmem_kib: the memory split: KiB of VMEM for fusions' own windows; None for the compiler's default.
        calibrate: how many compiles more are to teach the capture what instructions cost under other placements. It
            is written before them, and again after them.
        progress: called with one line for each of these, and for a target that was not asked for.

    Raises:
        BadInputError: unknown target, workload or function, or ``out`` cannot be written.
        CompilerRefusedError: the program does not compile.
        NoAnswerError: not within the limits of time and memory.
    """
    from mallocgame.compiler.capture_file import save_capture
    from mallocgame.compiler.capturing import capture as compile_and_keep
    from mallocgame.optimizer import calibrate as calibration
    from mallocgame.plan.compiler_options import SCOPED_VMEM
    from mallocgame.problem.targets import get_target
    from mallocgame.programs.environment import init_args_of
    from mallocgame.programs.readers.dump_folder import dump_program
    from mallocgame.programs.target_choice import target_chosen

    asked = None if target is None else get_target(target)
    told = progress or silent
    if calibrate < 0:
        raise BadInputError(f"the number of calibrating compiles cannot be {calibrate}")
    check_writable(out)
    options = {} if scoped_vmem_kib is None else {SCOPED_VMEM: str(scoped_vmem_kib)}
    program: object = reference
    topology, init_args, notes = None, *init_args_of(os.environ)
    if isinstance(reference, str | os.PathLike) and not workload and os.path.isdir(reference):
        dump = dump_program(Path(reference), asked, module, told)
        program, target, topology, init_args = str(dump.text), dump.target, dump.topology, ()
        notes, options = dump.notes, {**dump.options, **options}
    elif module is not None:
        raise BadInputError("--module is for dump folders of several modules")
    elif isinstance(reference, str | os.PathLike):
        program = _reference(os.fspath(reference), workload)
        target = target_chosen(asked, told)[0].name
    for note in notes:
        told(note)
    if isinstance(program, str):
        told(Stage(f"compiling {program} for {target}"))
    kept = compile_and_keep(
        program, args, target, out, topology=topology, kwargs=kwargs, options=options, init_args=init_args
    )
    if calibrate:
        kept = calibration.calibrate(kept, calibrate, progress=told)
        save_capture(kept, out)
    return kept


def inspect(
    file: PathLike,
    *,
    target: str | None = None,
    module: str | None = None,
    kernels: Mapping[str, float] | None = None,
    trips: Trips | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Tensors, sizes, peak, headroom and the ten costliest instructions of a file that ``solve`` takes.

    ``kernels`` and ``trips``: as ``solve``.

    Raises:
        BadInputError: the file cannot be used.
        xla_dump_parser.ParseError: the text is damaged.
    """
    from mallocgame.problem.given import given_of
    from mallocgame.programs.loading import load
    from mallocgame.report.inspection import inspect_problem

    given = given_of(kernels, trips)
    loaded = load(file, target, module=module, any_backend=True, given=given, progress=progress or silent)
    found = inspect_problem(loaded.problem, loaded.default_seconds(), loaded.module, loaded.compiled_bytes())
    return replace(found, target_why=loaded.target_why)


def memory(
    program: object,
    *,
    target: str | None = None,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    module: str | None = None,
    format: MemoryFormat | None = None,
    out: PathLike | None = None,
    progress: Progress | None = None,
) -> MemoryUse:
    """What a program takes of each memory: by kind, live at the peak, what is padded or could be donated.

    Of a program that does not fit, what its compile left behind; it is no error then.

        api.memory(jax.jit(step, donate_argnums=0), args=(state, batch), target="v5e").peaks[0].by_role()

    Args:
        program: the path of a capture, a dump folder, what is compiled first, as ``solve`` takes it, or a text with a
            compile log or an error message of a program that ran out of memory. Or a JAX function, a
            ``jax.stages.Traced`` or ``Lowered``.
        target: as ``inspect``; needed where neither a file, a stage nor the arguments say one.
        args: abstract arguments where a function itself is given.
        kwargs: likewise, by name.
        module: of a dump folder with several; None for the largest.
        format: of a file to write: a self-contained HTML page with a map of each memory, the peak of HBM as a profile
            for ``pprof``, or live bytes and live ranges in Chrome's trace format. None for a page if there is an
            ``out``, else for no file.
        out: where to write it; None for the file's path with the format's suffix.
        progress: called with one line for what takes long, and for a target that was not asked for.

    Raises:
        BadInputError: the program cannot be used, or has no buffer assignment; ``out`` cannot be written; a trace of a
            message, which has no times.
        CompilerRefusedError, NoAnswerError: it does not compile, and left nothing to tell.
        xla_dump_parser.ParseError: a text is damaged.
    """
    from mallocgame.report.memory.rendering import place_of, render

    source = os.fspath(program) if isinstance(program, str | os.PathLike) else "the program"
    written = place_of(source, format, None if out is None else os.fspath(out))
    if written is not None:
        check_writable(written[0])
    use, placed = _memory_of(program, target, args or (), kwargs or {}, module, progress or silent)
    if written is not None:
        write_atomically(written[0], render(use, placed, written[1], source))
    return use


def _memory_of(
    program: object,
    target: str | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    module: str | None,
    progress: Progress,
) -> tuple[MemoryUse, Placed | None]:
    """What a program takes, and where it was placed; None of a compiler's message, which does not say that."""
    from mallocgame.programs.placed import load_placed, placed_program
    from mallocgame.report.memory import memory_use, use_of_message
    from xla_dump_parser import read_text
    from xla_dump_parser.out_of_memory import says_out_of_memory

    if not isinstance(program, str | os.PathLike):
        if module is not None:
            raise BadInputError("a module is chosen of a dump folder, not of a program")
        placed = placed_program(program, args, kwargs, target, progress)
        return memory_use(placed), placed
    source = os.fspath(program)
    if args or kwargs:
        raise BadInputError(f"{source}: a file has its arguments already; leave them out")
    if os.path.isfile(source) and _is_text(source) and says_out_of_memory(text := read_text(source)):
        return use_of_message(text, source), None
    placed = load_placed(source, target, module=module, progress=progress)
    return memory_use(placed), placed


def memory_diff(
    before: PathLike | MemoryUse,
    after: PathLike | MemoryUse,
    *,
    target: str | None = None,
    module: str | None = None,
    progress: Progress | None = None,
) -> MemoryDiff:
    """What two programs take of each memory, side by side, and what came, went and changed at each peak.

    Args:
        before: what ``memory`` told, or a file as ``memory`` takes it, e.g. of before a change.
        after: likewise, e.g. of after it, or of another compiler or policy.
        target: as ``memory``, for each file.
        module: likewise.
        progress: likewise.

    Raises:
        BadInputError, CompilerRefusedError, NoAnswerError, xla_dump_parser.ParseError: as ``memory``.
    """
    from mallocgame.report.memory.difference import difference

    first, second = (
        memory(one, target=target, module=module, progress=progress) if isinstance(one, str | os.PathLike) else one
        for one in (before, after)
    )
    return difference(first, second)


def _is_text(path: str) -> bool:
    """Whether a file holds no zeros, as far as its beginning tells; plain or gzip."""
    from xla_dump_parser.text import read_head

    return b"\0" not in read_head(path, 4096)


def _reference(reference: str, workload: bool) -> str:
    """MODULE:FUNCTION, or the path of a module file, of what to capture."""
    from mallocgame.compiler.module_file import is_module_file

    if not workload and is_module_file(reference):
        return reference
    if not workload:
        module, colon, function = reference.partition(":")
        if not (module and colon and function):
            raise BadInputError(f"{reference!r} is not MODULE:FUNCTION; for a workload use --workload NAME")
        return reference
    import workloads

    try:
        return workloads.find(reference).reference
    except KeyError as error:
        raise BadInputError(error.args[0]) from None
