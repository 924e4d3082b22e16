"""What is in a program: sizes, peak, headroom and the costliest instructions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from mallocgame.models.replay import Row, relaxed_bound, replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.problem.costs.elapsed import m_elapsed
from mallocgame.problem.placement import ON_HOST
from mallocgame.problem.schema import Group, Problem
from mallocgame.report.peak import LiveBuffer, largest_live
from xla_dump_parser.hlo import HloModule


@dataclass(frozen=True, slots=True)
class CostlyInstruction:
    """One row of the costliest instructions.

    Attributes:
        seconds: under M with everything in HBM, all its runs together.
        bound: the same with every operand and output in fast memory.
        runs: how often it runs (product of the trip counts around it).
        total_bytes: accessed by one run.
    """

    name: str
    opcode: str
    time: int
    seconds: float
    bound: float
    runs: int
    total_bytes: float


@dataclass(frozen=True)
class Inspection:
    """A summary of a problem; seconds are under M, bytes are padded.

    Attributes:
        peak_bytes: most bytes of tensors live on the device at one time; an alias group counts once.
        peak_time: the first such time.
        host_bytes: most bytes live in the host's memory at one time.
        largest_at_peak: at most five of the buffers that are live then, largest first; empty without the text.
        compiled_bytes: what XLA's default takes of each memory, by the number of its memory space; None where the
            compiler's report is not known.
        movable: tensors that may be in fast memory for at least part of their life.
        all_hbm_seconds: everything in HBM.
        default_seconds: XLA's own placement, where it is known; else None.
        bound_seconds: ``mallocgame.models.replay.relaxed_bound``, which no plan can beat.
        costliest: at most ten, most seconds first.
        target_why: why it is for the problem's target.
    """

    problem: Problem
    tensor_bytes: int
    largest_bytes: int
    peak_bytes: int
    peak_time: int
    host_bytes: int
    largest_at_peak: tuple[LiveBuffer, ...]
    compiled_bytes: Mapping[int, int] | None
    movable: int
    loops: int
    all_hbm_seconds: float
    default_seconds: float | None
    bound_seconds: float
    costliest: tuple[CostlyInstruction, ...]
    target_why: str = ""

    @property
    def headroom(self) -> float:
        """Share of XLA's time above the relaxed bound; of the time with everything in HBM where XLA's is not known."""
        whole = self.all_hbm_seconds if self.default_seconds is None else self.default_seconds
        return 1 - self.bound_seconds / whole if whole else 0.0


def inspect_problem(
    problem: Problem,
    default_seconds: float | None = None,
    module: HloModule | None = None,
    compiled_bytes: Mapping[int, int] | None = None,
) -> Inspection:
    """Summarise a problem.

    Args:
        problem: what is summarised.
        default_seconds: of XLA's own placement under M, if known.
        module: the text that it is of, if known.
        compiled_bytes: as the attribute.
    """
    replay = replay_plan(problem, Plan(problem.fingerprint), "M")
    rows = [_costly(problem, row) for row in replay.rows if row.time is not None and row.seconds]
    on_host = {tensor.group for tensor in problem.tensors if tensor.fixed == ON_HOST}
    device = [group for number, group in enumerate(problem.groups) if number not in on_host]
    peak_bytes, peak_time = _peak(problem, device)
    host_bytes, _ = _peak(problem, [problem.groups[number] for number in on_host])
    return Inspection(
        problem=problem,
        tensor_bytes=sum(tensor.size for tensor in problem.tensors),
        largest_bytes=max((tensor.size for tensor in problem.tensors), default=0),
        peak_bytes=peak_bytes,
        peak_time=peak_time,
        host_bytes=host_bytes,
        largest_at_peak=() if module is None else largest_live(problem, module, device, peak_time, 5),
        compiled_bytes=compiled_bytes,
        movable=sum(tensor.fixed is None for tensor in problem.tensors),
        loops=sum(computation.kind == "body" for computation in problem.computations),
        all_hbm_seconds=replay.total,
        default_seconds=default_seconds,
        bound_seconds=relaxed_bound(problem, "M"),
        costliest=tuple(sorted(rows, key=lambda row: (-row.seconds, row.time))[:10]),
    )


def _costly(problem: Problem, row: Row) -> CostlyInstruction:
    time = row.time or 0
    instruction = problem.instructions[time]
    total = instruction.total_bytes
    read = min(total, sum(problem.tensors[tensor].uses[use].accessed_bytes for tensor, use in problem.uses_at[time]))
    written = min(total - read, sum(problem.tensors[tensor].defined_bytes for tensor in problem.definitions_at[time]))
    return CostlyInstruction(
        name=row.name,
        opcode=row.opcode,
        time=time,
        seconds=row.runs * row.seconds,
        bound=row.runs * m_elapsed(problem.target, instruction.least_seconds, total, read, written),
        runs=row.runs,
        total_bytes=total,
    )


def _peak(problem: Problem, groups: Iterable[Group]) -> tuple[int, int]:
    """(bytes, first time) of the peak of these alias groups."""
    change = [0] * (len(problem.instructions) + 1)
    for group in groups:
        lives = [problem.tensors[tensor].live for tensor in group.tensors]
        change[min(start for start, _ in lives)] += group.size
        change[max(end for _, end in lives) + 1] -= group.size
    totals = list(accumulate(change))
    peak = max(totals)
    return peak, totals.index(peak)
