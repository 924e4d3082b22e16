"""What is in a program: sizes, peak, headroom and the costliest instructions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from mallocgame.costs import m_elapsed
from mallocgame.problem.schema import Problem


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
        peak_bytes: most bytes of tensors live at one time, wherever they are; an alias group counts once.
        peak_time: the first such time.
        movable: tensors that may be in fast memory for at least part of their life.
        all_hbm_seconds: everything in HBM.
        bound_seconds: the relaxed lower bound: every operand in fast memory at no cost, but no less than the bytes of
            entry parameters read and entry results written need to cross HBM once.
        costliest: at most ten, most seconds first.
    """

    problem: Problem
    tensor_bytes: int
    largest_bytes: int
    peak_bytes: int
    peak_time: int
    movable: int
    loops: int
    all_hbm_seconds: float
    bound_seconds: float
    costliest: tuple[CostlyInstruction, ...]

    @property
    def headroom(self) -> float:
        """Share of the all-in-HBM time above the relaxed bound."""
        return 1 - self.bound_seconds / self.all_hbm_seconds if self.all_hbm_seconds else 0.0


def inspect_problem(problem: Problem) -> Inspection:
    """Summarise a problem."""
    runs = run_counts(problem)
    rows = [_row(problem, time, runs) for time, instruction in enumerate(problem.instructions) if not instruction.free]
    peak_bytes, peak_time = _peak(problem)
    return Inspection(
        problem=problem,
        tensor_bytes=sum(tensor.size for tensor in problem.tensors),
        largest_bytes=max((tensor.size for tensor in problem.tensors), default=0),
        peak_bytes=peak_bytes,
        peak_time=peak_time,
        movable=sum(tensor.fixed is None for tensor in problem.tensors),
        loops=sum(computation.kind == "body" for computation in problem.computations),
        all_hbm_seconds=sum(row.seconds for row in rows),
        bound_seconds=max(sum(row.bound for row in rows), _crossing_bytes(problem) / problem.target.hbm_bandwidth),
        costliest=tuple(sorted(rows, key=lambda row: (-row.seconds, row.time))[:10]),
    )


def run_counts(problem: Problem) -> tuple[int, ...]:
    """For each computation, how often it runs in one run of the entry."""
    found: dict[int, int] = {}

    def count(number: int) -> int:
        computation = problem.computations[number]
        if number not in found:
            caller = computation.caller
            outer = 1 if caller is None else count(problem.instructions[caller].computation)
            found[number] = outer * computation.trips
        return found[number]

    return tuple(count(number) for number in range(len(problem.computations)))


def _row(problem: Problem, time: int, runs: tuple[int, ...]) -> CostlyInstruction:
    instruction, target = problem.instructions[time], problem.target
    read = sum(problem.tensors[tensor].uses[use].accessed_bytes for tensor, use in problem.uses_at[time])
    written = sum(problem.tensors[tensor].defined_bytes for tensor in problem.definitions_at[time])
    read = min(read, instruction.total_bytes)
    written = min(written, instruction.total_bytes - read)
    count = runs[instruction.computation]
    return CostlyInstruction(
        name=instruction.name,
        opcode=instruction.opcode,
        time=time,
        seconds=count * m_elapsed(target, instruction.compute_seconds, instruction.total_bytes, 0, 0),
        bound=count * m_elapsed(target, instruction.compute_seconds, instruction.total_bytes, read, written),
        runs=count,
        total_bytes=instruction.total_bytes,
    )


def _peak(problem: Problem) -> tuple[int, int]:
    """(bytes, first time) of the peak."""
    change = [0] * (len(problem.instructions) + 1)
    for group in problem.groups:
        lives = [problem.tensors[tensor].live for tensor in group.tensors]
        change[min(start for start, _ in lives)] += group.size
        change[max(end for _, end in lives) + 1] -= group.size
    totals = list(accumulate(change))
    peak = max(totals)
    return peak, totals.index(peak)


def _crossing_bytes(problem: Problem) -> float:
    """Bytes that have to cross HBM once: of entry parameters that are read, and of entry results."""
    crossing = 0.0
    for tensor in problem.tensors:
        if tensor.hbm_definition is None:
            continue
        if problem.instructions[tensor.time].opcode in ("parameter", "constant"):
            read = max((use.accessed_bytes for use in tensor.uses), default=0.0)
            crossing += min(read, tensor.size)
        else:
            crossing += min(tensor.defined_bytes, tensor.size)
    return crossing
