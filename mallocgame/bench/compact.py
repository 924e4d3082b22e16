"""From a capture to the content of a problem file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mallocgame.bench.store import module_sha256
from mallocgame.compiler.verification import replayed
from mallocgame.models.replay import read_back
from mallocgame.plan.problem_file import Addresses, Default, ProblemFile
from mallocgame.plan.validate import validate
from mallocgame.solvers import solve
from mallocgame.system.errors import NoAnswerError
from xla_dump_parser import parse_buffer_assignment, parse_hlo

if TYPE_CHECKING:
    from mallocgame.compiler.capture import Capture
    from mallocgame.plan.plan import Plan
    from mallocgame.problem.schema import Problem
    from workloads import Workload
    from xla_dump_parser.buffer_assignment import Allocation
    from xla_dump_parser.hlo import HloModule


def compact(capture: Capture, workload: Workload | None = None) -> ProblemFile:
    """The problem of a capture, with XLA's own placement and its figures.

    Args:
        capture: of a compile by XLA's default.
        workload: the catalogue's entry that was captured.

    Raises:
        BadInputError, xla_dump_parser.ParseError: the capture is damaged.
    """
    problem = capture.problem()
    final = parse_hlo(capture.final, "final")
    plan, addresses, no_plan = _placement(problem, final, parse_buffer_assignment(capture.buffer_assignment))
    figures = replayed("xla default", problem, final, capture.peak_hbm)
    return ProblemFile(
        problem=problem,
        default=Default(
            e_seconds=figures.e_seconds,
            e_stall=figures.e_stall,
            m_seconds=figures.m_seconds,
            m_stall=figures.m_stall,
            peak_hbm=figures.peak_hbm,
            plan=plan,
            addresses=addresses,
            no_plan=no_plan,
        ),
        workload=None if workload is None else workload.name,
        family=None if workload is None else workload.family,
        phase=None if workload is None else workload.phase,
        function=capture.function,
        module_sha256=module_sha256(capture.lowered),
        scoped_vmem_kib=capture.scoped_vmem_kib,
        compile_seconds=capture.seconds,
        versions=capture.versions,
    )


def _placement(
    problem: Problem, final: HloModule, allocations: tuple[Allocation, ...]
) -> tuple[Plan | None, Addresses | None, str | None]:
    """XLA's own placement as a valid plan: at the compiler's addresses, else at others, else none and why."""
    found = read_back(problem, final, allocations)
    plan = found.to_plan()
    if found.offsets_known and not validate(problem, plan):
        return plan, "compiler", None
    try:
        plan = solve(problem, "xla", time_limit=3600.0, max_steps=400, final=final).plan
    except NoAnswerError as error:
        return None, None, str(error)
    violations = validate(problem, plan)
    return (None, None, violations[0].message) if violations else (plan, "best fit", None)
