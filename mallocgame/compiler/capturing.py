"""Making captures: a function, a saved module or a captured module is compiled by XLA's default."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import save_capture
from mallocgame.compiler.child import Compile, Compiled, Limits, Request, compile_in_child
from mallocgame.compiler.jax_settings import options_of_jax
from mallocgame.compiler.module_file import is_module_file
from mallocgame.compiler.stages import in_one_line, lowering_of
from mallocgame.plan.compiler_options import LEVELS, MSA_SWITCH, check_options
from mallocgame.plan.init_args import read_flags, split_option
from mallocgame.problem.targets import get_target
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from mallocgame.system.version import __version__


def capture(
    program: object,
    args: Sequence[Any] | None,
    target: str | None,
    out: str | os.PathLike[str] | None = None,
    *,
    topology: str | None = None,
    kwargs: Mapping[str, Any] | None = None,
    options: Mapping[str, str] | None = None,
    init_args: tuple[str, ...] = (),
    limits: Limits | None = None,
    compile: Compile = compile_in_child,
) -> Capture:
    """Compile for a target as XLA does by default, and keep the result in ``out`` if given.

    Args:
        program: ``MODULE:FUNCTION`` of a function that returns (function, abstract arguments) or a stage; the path of a
            module file (``module_file.SUFFIXES``); or what ``stages.lower`` takes, which is then lowered in this
            process. A program over several devices is compiled for those of its mesh, or where that is an
            ``AbstractMesh`` for the smallest topology with as many, and what is captured is the program of each device.
        args: abstract arguments (pytrees of ``jax.ShapeDtypeStruct``) where a function itself is given, else None.
        target: e.g. ``"v5p"``; None for that of a stage or of its arguments.
        out: capture file to write.
        topology: of the devices of a module file, as text; None for the smallest with as many as it is for.
        kwargs: as ``args``, by name.
        options: compiler options, e.g. another memory split, over those that the program brings itself.
        init_args: words of ``LIBTPU_INIT_ARGS`` that it is compiled with.
        limits: of the compile.
        compile: who compiles, e.g. a cache.

    Raises:
        BadInputError: unknown target, none where one is needed, the program cannot be loaded or lowered, or an option
            that is about files.
        CompilerRefusedError, NoAnswerError: as ``compile_in_child``.
    """
    check_options(options or {})
    if target is not None:
        get_target(target)
    request, target = _request(program, args, kwargs or {}, target, topology, options or {})
    compiled = compile(replace(request, init_args=init_args), limits)
    names = (program, getattr(program, "__name__", None), getattr(program, "fun_name", None), "function")
    name = next(name for name in names if isinstance(name, str))
    made = request.topology if request.lowered is not None else compiled.topology
    kept = keep(compiled, target, made, name, {**compiled.own_options, **request.options}, init_args)
    if out is not None:
        save_capture(kept, out)
    return kept


def _request(
    program: object,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any],
    target: str | None,
    topology: str | None,
    options: Mapping[str, str],
) -> tuple[Request, str]:
    """What is to be compiled, and its target."""
    if isinstance(program, str):
        if target is None:
            raise BadInputError(f"{program}: needs a target")
        devices = topology or target
        if is_module_file(program):
            own = options_of_jax() if topology is None else {}
            return Request(devices, function=os.path.abspath(program), options={**own, **options}), target
        return Request(devices, function=program, options=dict(options)), target
    try:
        made = lowering_of(program, args or (), kwargs, target)
    except Exception as error:
        raise in_one_line(error) from None
    check_options(made.options)
    return Request(made.topology, lowered=made.text, options={**made.options, **options}), made.target


def recapture(
    kept: Capture,
    options: Mapping[str, str],
    *,
    limits: Limits | None = None,
    compile: Compile = compile_in_child,
) -> Capture:
    """The captured module compiled anew with these options, e.g. another memory split: another schedule.

    Raises:
        BadInputError: an option that is about files.
        CompilerRefusedError, NoAnswerError: as ``compile_in_child``.
    """
    check_options(options)
    request = Request(kept.topology, lowered=kept.lowered, options=dict(options), init_args=kept.init_args)
    compiled = compile(request, limits)
    made = keep(compiled, kept.target, kept.topology, kept.function, request.options, kept.init_args)
    return replace(made, given=kept.given)


def compiled_of(capture: Capture) -> Compiled:
    """The compile that a capture is of."""
    return Compiled(
        lowered=capture.lowered,
        before_msa=capture.before_msa,
        final=capture.final,
        buffer_assignment=capture.buffer_assignment,
        memory_usage=capture.memory_usage,
        log=capture.log,
        versions=capture.versions,
        seconds=capture.seconds,
        peak_memory=capture.peak_memory,
        code_bytes=capture.code_bytes,
        topology=capture.topology,
    )


def peak_hbm(memory_usage: str) -> int:
    """Bytes of HBM that a program needs: the total of S(0) in its memory-usage report."""
    from xla_dump_parser import parse_memory_usage_report

    return sum(space.total_bytes for space in parse_memory_usage_report(memory_usage) if space.memory_space == 0)


def schedule_of(before_msa: str) -> str:
    """Fingerprint of a dumped schedule."""
    from mallocgame.problem.fingerprint import fingerprint
    from mallocgame.problem.schedule import flatten
    from xla_dump_parser import parse_hlo

    return fingerprint(flatten(parse_hlo(before_msa, "before_msa")))


def keep(
    compiled: Compiled,
    target: str,
    topology: str,
    function: str,
    options: Mapping[str, str],
    init_args: tuple[str, ...],
) -> Capture:
    """The capture of a compile that logged its costs; arguments as the attributes of ``Capture``.

    A memory split that only the flags ask for is among the capture's options too.

    Raises:
        CompilerRefusedError: the compiler ran no memory space assignment, or logged no schedule or costs.
    """
    from mallocgame.compiler.hidden_elements import show_elements
    from mallocgame.compiler.kernels.reading import kernel_costs
    from mallocgame.problem.costs.kernels import encode
    from xla_dump_parser import parse_hlo
    from xla_dump_parser.compile_log import parse_compile_log, reduce_compile_log

    log = reduce_compile_log(compiled.log)
    if not compiled.before_msa or "Initial resource[" not in log:
        raise CompilerRefusedError(_why_no_costs(options, init_args))
    before = show_elements(compiled.before_msa, parse_compile_log(log).sequence)
    return Capture(
        target=target,
        topology=topology,
        function=function,
        options={**split_option(init_args), **options},
        versions={**compiled.versions, "mallocgame": __version__},
        seconds=compiled.seconds,
        peak_hbm=peak_hbm(compiled.memory_usage),
        schedule=schedule_of(compiled.before_msa),
        lowered=compiled.lowered,
        before_msa=before,
        final=compiled.final,
        log=log,
        buffer_assignment=compiled.buffer_assignment,
        memory_usage=compiled.memory_usage,
        peak_memory=compiled.peak_memory,
        code_bytes=compiled.code_bytes,
        init_args=init_args,
        kernels=encode(kernel_costs(parse_hlo(before, "before_msa"))),
    )


def _why_no_costs(options: Mapping[str, str], init_args: tuple[str, ...]) -> str:
    """What is to be done where the compiler logged no schedule or costs."""
    if options.get("optimization_level") in (str(LEVELS["O0"]), str(LEVELS["O1"])):
        return (
            "at optimization levels O0 and O1 the compiler assigns no memory space, so there is nothing to plan: set "
            "jax_optimization_level to O2 or O3, or leave it unset"
        )
    if MSA_SWITCH in options or any(flag.name == MSA_SWITCH for flag in read_flags(init_args)):
        return f"the program is compiled with {MSA_SWITCH}, and the compiler assigns no memory space: leave it out"
    return "this libtpu does not log its schedule and costs; install libtpu >= 0.0.50"
