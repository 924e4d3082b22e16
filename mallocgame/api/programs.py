"""Programs: from a function to a capture, and what is in one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mallocgame.api.arguments import PathLike
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import check_writable
from mallocgame.system.progress import Progress, silent

if TYPE_CHECKING:
    from mallocgame.compiler.capture import Capture
    from mallocgame.report.inspection import Inspection


def capture(
    reference: object,
    *,
    target: str,
    out: PathLike,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    workload: bool = False,
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
            ``Lowered``. Or such a stage or a function itself.
        target: e.g. ``"v5p"``.
        out: the capture file to write.
        args: abstract arguments where a function itself is given.
        kwargs: likewise, by name.
        scoped_vmem_kib: the memory split: KiB of VMEM for fusions' own windows; None for the compiler's default.
        calibrate: how many compiles more are to teach the capture what instructions cost under other placements. It
            is written before them, and again after them.
        progress: called with one line for each of these.

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

    get_target(target)
    if calibrate < 0:
        raise BadInputError(f"the number of calibrating compiles cannot be {calibrate}")
    check_writable(out)
    init_args, notes = init_args_of(os.environ)
    for note in notes:
        (progress or silent)(note)
    options = {} if scoped_vmem_kib is None else {SCOPED_VMEM: str(scoped_vmem_kib)}
    program = _reference(reference, workload) if isinstance(reference, str) else reference
    kept = compile_and_keep(program, args, target, out, kwargs=kwargs, options=options, init_args=init_args)
    if calibrate:
        kept = calibration.calibrate(kept, calibrate, progress=progress or silent)
        save_capture(kept, out)
    return kept


def inspect(file: PathLike, *, target: str | None = None, progress: Progress | None = None) -> Inspection:
    """Tensors, sizes, peak, headroom and the ten costliest instructions of a file that ``solve`` takes.

    Raises:
        BadInputError: the file cannot be used.
        xla_dump_parser.ParseError: the text is damaged.
    """
    from mallocgame.programs.loading import load
    from mallocgame.report.inspection import inspect_problem

    loaded = load(file, target, any_backend=True, progress=progress or silent)
    return inspect_problem(loaded.problem, loaded.default_seconds(), loaded.module, loaded.compiled_bytes())


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
