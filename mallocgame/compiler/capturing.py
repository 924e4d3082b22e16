"""Making captures: a function, a saved module or a captured module is compiled by XLA's default."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import save_capture
from mallocgame.compiler.child import Compile, Compiled, Limits, Request, compile_in_child
from mallocgame.compiler.devices import devices_of
from mallocgame.compiler.lowered import lowered_from
from mallocgame.compiler.module_file import is_module_file
from mallocgame.plan.compiler_options import check_options
from mallocgame.system.errors import CompilerRefusedError
from mallocgame.system.version import __version__


def capture(
    function: str | Callable[..., Any],
    args: tuple[Any, ...] | None,
    target: str,
    out: str | os.PathLike[str] | None = None,
    *,
    options: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    compile: Compile = compile_in_child,
) -> Capture:
    """Compile for a target as XLA does by default, and keep the result in ``out`` if given.

    Args:
        function: ``MODULE:FUNCTION`` of a function that returns (function, abstract arguments); the path of a module
            file (``module_file.SUFFIXES``); or the function to compile itself, which is then lowered in this process.
            A program over several devices (its arguments have a ``NamedSharding`` of an ``AbstractMesh``) is compiled
            for the smallest topology with as many, and what is captured is the program of each device.
        args: abstract arguments (pytrees of ``jax.ShapeDtypeStruct``) where the function itself is given, else None.
        target: e.g. ``"v5p"``.
        out: capture file to write.
        options: compiler options, e.g. another memory split.
        limits: of the compile.
        compile: who compiles, e.g. a cache.

    Raises:
        BadInputError: unknown target, the function cannot be loaded or lowered, or an option that is about files.
        CompilerRefusedError, NoAnswerError: as ``compile_in_child``.
    """
    from mallocgame.problem.targets import get_target, topology_for

    get_target(target)
    check_options(options or {})
    if isinstance(function, str):
        reference = os.path.abspath(function) if is_module_file(function) else function
        request = Request(target, function=reference, options=dict(options or {}))
    else:
        lowered = lowered_from(function, args)
        request = Request(topology_for(target, devices_of(lowered)), lowered=lowered, options=dict(options or {}))
    compiled = compile(request, limits)
    name = function if isinstance(function, str) else getattr(function, "__name__", "function")
    topology = topology_for(target, devices_of(compiled.lowered))
    kept = keep(compiled, target, topology, name, request.options)
    if out is not None:
        save_capture(kept, out)
    return kept


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
    request = Request(kept.topology, lowered=kept.lowered, options=dict(options))
    return keep(compile(request, limits), kept.target, kept.topology, kept.function, request.options)


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


def keep(compiled: Compiled, target: str, topology: str, function: str, options: Mapping[str, str]) -> Capture:
    """The capture of a compile that logged its costs; arguments as the attributes of ``Capture``.

    Raises:
        CompilerRefusedError: the compiler logged no schedule or costs.
    """
    from mallocgame.compiler.hidden_elements import show_elements
    from xla_dump_parser.compile_log import parse_compile_log, reduce_compile_log

    log = reduce_compile_log(compiled.log)
    if not compiled.before_msa or "Initial resource[" not in log:
        raise CompilerRefusedError("this libtpu does not log its schedule and costs; install libtpu >= 0.0.50")
    return Capture(
        target=target,
        topology=topology,
        function=function,
        options=dict(options),
        versions={**compiled.versions, "mallocgame": __version__},
        seconds=compiled.seconds,
        peak_hbm=peak_hbm(compiled.memory_usage),
        schedule=schedule_of(compiled.before_msa),
        lowered=compiled.lowered,
        before_msa=show_elements(compiled.before_msa, parse_compile_log(log).sequence),
        final=compiled.final,
        log=log,
        buffer_assignment=compiled.buffer_assignment,
        memory_usage=compiled.memory_usage,
        peak_memory=compiled.peak_memory,
    )
