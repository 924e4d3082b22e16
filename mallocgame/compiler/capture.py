"""Captures: one compile by XLA's default, with everything that solving and recompiling need."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mallocgame import __version__
from mallocgame.compiler.child import Compile, Compiled, Limits, Request, compile_in_child
from mallocgame.compiler.devices import devices_of
from mallocgame.errors import BadInputError, CompilerRefusedError

if TYPE_CHECKING:
    import os

    from mallocgame.calibration import CycleTable
    from mallocgame.problem.schema import Problem

SCOPED_VMEM = "xla_tpu_scoped_vmem_limit_kib"

_OPTION = re.compile(r"xla_[a-z0-9_]{1,200}")
_FILES = ("dump", "path", "dir", "file", "cache", "profile")
"""Words in the names of options that read or write files; a capture of unknown origin may not have them."""


@dataclass(frozen=True)
class Capture:
    """What one compile with XLA's own memory space assignment left behind.

    Attributes:
        target: name, e.g. ``"v5p"``.
        topology: what libtpu was asked for, e.g. ``"v5p:2x2x1"``.
        function: ``MODULE:FUNCTION``, or the name of the function that was given.
        options: compiler options of the compile.
        versions: of python, jax, jaxlib, libtpu and mallocgame.
        seconds: wall time of the compile.
        peak_hbm: bytes of HBM that the program needs, by the compiler's memory-usage report.
        lowered: StableHLO text, for recompiling.
        before_msa: scheduled HLO before memory space assignment, with all of its instructions.
        schedule: fingerprint of that schedule as the compiler dumped it; a recompile has to have the same.
        final: HLO after code generation.
        log: the compile log, reduced to what ``parse_compile_log`` reads.
        buffer_assignment: the buffer-assignment text.
        memory_usage: the memory-usage-report text.
        peak_memory: most resident bytes of the compiling process; 0 in captures of before it was kept.
        observed: what calibrating compiles showed (``mallocgame.calibration.observe``); empty without any.
    """

    target: str
    topology: str
    function: str
    options: Mapping[str, str]
    versions: Mapping[str, str]
    seconds: float
    peak_hbm: int
    schedule: str
    lowered: str
    before_msa: str
    final: str
    log: str
    buffer_assignment: str
    memory_usage: str
    peak_memory: int = 0
    observed: str = ""

    @property
    def scoped_vmem_kib(self) -> int | None:
        """The memory split that was asked for; None for the compiler's default."""
        return split_of(self.options)

    def problem(self) -> Problem:
        """The problem of the captured schedule, with the costs of its log."""
        return self._problem

    @cached_property
    def _problem(self) -> Problem:
        from mallocgame.problem import build_problem
        from mallocgame.problem.targets import get_target
        from xla_dump_parser import parse_hlo
        from xla_dump_parser.compile_log import parse_compile_log

        return build_problem(
            parse_hlo(self.before_msa, "before_msa"),
            get_target(self.target),
            parse_compile_log(self.log),
            parse_hlo(self.final, "final"),
        )

    def cycles(self) -> CycleTable:
        """A table of the emitter's cycles that has seen the capture's own compile and its calibrating compiles.

        Another one at each call: to observe a compile changes a table.

        Raises:
            BadInputError, xla_dump_parser.ParseError: the capture's texts do not hold together.
        """
        from mallocgame.calibration import CycleTable, observations_of, observe_final, products_of
        from xla_dump_parser import parse_hlo

        problem = self.problem()
        table = CycleTable(problem, products_of(problem, parse_hlo(self.before_msa, "before_msa")))
        observe_final(problem, parse_hlo(self.final, "final"), table)
        for seen in observations_of(self.observed, problem):
            table.observe(seen.masks, seen.cycles)
        return table


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
        function: ``MODULE:FUNCTION`` of a function that returns (function, abstract arguments); the path of a saved
            lowered module (StableHLO text, named ``*.mlir``); or the function to compile itself, which is then lowered
            in this process. A program over several devices (its arguments have a ``NamedSharding`` of an
            ``AbstractMesh``) is compiled for the smallest topology with as many, and what is captured is the program
            of each device.
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
    from mallocgame.compiler.capture_file import save_capture
    from mallocgame.problem.targets import get_target, topology_for

    get_target(target)
    check_options(options or {})
    if isinstance(function, str) and not is_lowered_module(function):
        request = Request(target, function=function, options=dict(options or {}))
    else:
        lowered = read_lowered(function) if isinstance(function, str) else _lowered(function, args)
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


def check_options(options: Mapping[str, str]) -> None:
    """Refuse what is no option of the compiler, and what would make it read or write files.

    Raises:
        BadInputError: such an option.
    """
    for name, value in options.items():
        if not _OPTION.fullmatch(name) or any(word in name for word in _FILES):
            raise BadInputError(f"{name[:100]!r} is not an option that a capture may have")
        if name == SCOPED_VMEM and not re.fullmatch(r"[0-9]{1,9}", value):
            raise BadInputError(f"{SCOPED_VMEM} has to be a number of KiB, not {value[:40]!r}")


def split_of(options: Mapping[str, str]) -> int | None:
    """The memory split that compiler options ask for, KiB; None for the compiler's default."""
    return int(options[SCOPED_VMEM]) if SCOPED_VMEM in options else None


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


def is_lowered_module(reference: str) -> bool:
    """Whether a reference is the path of a saved lowered module rather than MODULE:FUNCTION."""
    return reference.endswith(".mlir")


def read_lowered(path: str) -> str:
    """StableHLO text of a file.

    Raises:
        BadInputError: it cannot be read.
    """
    from xla_dump_parser import ParseError, read_text

    try:
        return read_text(path)
    except ParseError as error:
        raise BadInputError(str(error)) from None


def _lowered(function: Callable[..., Any], args: tuple[Any, ...] | None) -> str:
    from mallocgame.compiler.child_main import lower

    if not isinstance(args, tuple | list):
        raise BadInputError("a function needs a tuple of abstract arguments beside it")
    try:
        return lower(function, args)
    except ImportError as error:
        raise CompilerRefusedError(f"JAX cannot be imported ({error}); install the tpu extra") from None
    except Exception as error:
        raise BadInputError(f"the function cannot be lowered: {type(error).__name__}: {error}") from None


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
