"""The captured module compiled with other options, and its figures: how everything that is claimed is confirmed.

A program of the capture's own split and schedule is replayed with the capture's costs. Another split or schedule is
another program: it is replayed with the costs of its own log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capturing import peak_hbm, schedule_of
from mallocgame.compiler.child import COST_VMODULE, QUIET_VMODULE, Compile, Compiled, Limits, Request
from mallocgame.compiler.hidden_elements import show_elements
from mallocgame.compiler.kernels.reading import kernel_costs
from mallocgame.compiler.verification import Row, replayed
from mallocgame.plan.compiler_options import MSA_SWITCH, split_of
from mallocgame.plan.verdict import Kind
from mallocgame.problem.build import build_problem
from mallocgame.problem.schema import Problem
from mallocgame.problem.targets import get_target
from mallocgame.system.errors import CompilerRefusedError
from xla_dump_parser import hlo, parse_hlo
from xla_dump_parser.compile_log import parse_compile_log

MSA_OFF_OPTIONS: Mapping[str, str] = {MSA_SWITCH: "false"}


@dataclass(frozen=True)
class Confirmed:
    """A compile and its figures.

    Attributes:
        row: figures of its final text.
        problem: whose costs these rest on.
        final: the parsed final text.
        compiled: all that the compile left.
        options: it was made with.
    """

    row: Row
    problem: Problem
    final: hlo.HloModule
    compiled: Compiled
    options: Mapping[str, str]


def confirm(
    capture: Capture, kind: Kind, options: Mapping[str, str], compile: Compile, limits: Limits | None = None
) -> Confirmed:
    """Compile a program of the capture's schedule.

    Args:
        capture: whose module is compiled, and whose costs are taken.
        kind: what it is, for the row.
        options: all of the compile, those of the capture included.
        compile: who compiles.
        limits: of the compile.

    Raises:
        CompilerRefusedError: refused, or the compiler schedules another program with these options.
        NoAnswerError: a limit was reached.
    """
    compiled = compile(_request(capture, options, QUIET_VMODULE), limits)
    if schedule_of(compiled.before_msa) != capture.schedule:
        how = {"msa off": "with MSA switched off", "plan": "with the plan's options"}.get(kind, f"for this {kind}")
        raise CompilerRefusedError(f"the compiler schedules another program {how}; capture again with this libtpu")
    return _confirmed(compiled, kind, capture.problem(), options)


def confirm_other(
    capture: Capture, kind: Kind, options: Mapping[str, str], compile: Compile, limits: Limits | None = None
) -> Confirmed:
    """Compile a program that may have another split or schedule; arguments as ``confirm``.

    Raises:
        CompilerRefusedError, NoAnswerError: as ``confirm``, but for the schedule.
        BadInputError, xla_dump_parser.ParseError: the compile's texts do not hold together.
    """
    compiled = compile(_request(capture, options, COST_VMODULE), limits)
    return _confirmed(compiled, kind, costs_of(compiled, capture, split_of(options)), options)


def costs_of(compiled: Compiled, capture: Capture, scoped_vmem_kib: int | None) -> Problem:
    """The problem whose costs a compiled program is replayed with.

    Args:
        compiled: the program; its log has to have the costs.
        capture: of XLA's default for the same module and target.
        scoped_vmem_kib: the program's memory split; None for the compiler's default.

    Returns:
        The capture's problem where split and schedule are the capture's. Else the problem of the program's own log, at
        the memory bandwidths of the capture: they are the device's, and some flags change what a log says of them.

    Raises:
        BadInputError: the texts do not hold together.
    """
    if scoped_vmem_kib == capture.scoped_vmem_kib and schedule_of(compiled.before_msa) == capture.schedule:
        return capture.problem()
    log = parse_compile_log(compiled.log)
    module = parse_hlo(show_elements(compiled.before_msa, log.sequence), "before_msa")
    problem = build_problem(
        module,
        get_target(capture.target),
        log,
        parse_hlo(compiled.final, "final"),
        kernel_costs(module),
        capture.topology,
    )
    device = capture.problem().target
    target = replace(
        problem.target,
        hbm_bandwidth=device.hbm_bandwidth,
        fast_read_bandwidth=device.fast_read_bandwidth,
        fast_write_bandwidth=device.fast_write_bandwidth,
    )
    return capture.given.applied_to(replace(problem, target=target))


def _request(capture: Capture, options: Mapping[str, str], vmodule: str) -> Request:
    """The captured module under the capture's own flags."""
    return Request(capture.topology, capture.lowered, None, dict(options), capture.init_args, vmodule)


def _confirmed(compiled: Compiled, kind: Kind, problem: Problem, options: Mapping[str, str]) -> Confirmed:
    final = parse_hlo(compiled.final, f"final ({kind})")
    return Confirmed(
        row=replayed(kind, problem, final, peak_hbm(compiled.memory_usage)),
        problem=problem,
        final=final,
        compiled=compiled,
        options=dict(options),
    )
