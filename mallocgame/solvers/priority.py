"""Memory-boundedness and the order in which MSA allocates (OpenXLA cost_analysis.cc, algorithm.cc)."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from mallocgame.game.program import Program

WHILE_EXECUTIONS = 5
"""xla_tpu_memory_space_assignment_while_execution_count: assumed for every loop, whatever its trip count."""

SortKey = tuple[float, int, int, int, int, int]


def order(program: Program) -> list[int]:
    """Groups in the order in which MSA serves them: most memory bound a square root of a byte first.

    Ties as in MSA: larger first, then longer live, then earlier latest use, earlier start, smaller id.
    """
    return sorted(range(len(program.problem.groups)), key=lambda group: _key(program, group))


def boundedness(program: Program, group: int) -> float:
    """Seconds saved in fast memory a square root of a byte; where nothing is saved, the distance to it, negative.

    0 for a group of no bytes, such as the empty outputs of an offloaded gather.
    """
    if not program.problem.groups[group].size:
        return 0.0
    combined: float | None = None
    for time, site_bytes, writes in _sites(program, group):
        benefit = _benefit(program, time, site_bytes, writes)
        if combined is None:
            combined = benefit
        elif combined > 0 and benefit > 0:
            combined += benefit
        else:
            combined = max(combined, benefit)
    return (combined or 0.0) / sqrt(program.problem.groups[group].size)


def _key(program: Program, group: int) -> SortKey:
    values = [program.problem.tensors[id] for id in program.problem.groups[group].tensors]
    start = min(value.live[0] for value in values)
    end = max(value.live[1] for value in values)
    latest = max((use.time for value in values for use in value.uses), default=start)
    size = program.problem.groups[group].size
    return (-boundedness(program, group), -size, start - end, latest, start, values[0].id)


def _sites(program: Program, group: int) -> Iterator[tuple[int, float, bool]]:
    """(time, bytes, whether they are written) of the defining position and of all uses but those of callers."""
    values = [program.problem.tensors[id] for id in program.problem.groups[group].tensors]
    yield values[0].time, values[0].defined_bytes, True
    for value in values:
        for use in value.uses:
            if not program.children[use.time]:
                yield use.time, use.accessed_bytes, False


def _benefit(program: Program, time: int, site_bytes: float, writes: bool) -> float:
    instruction, target = program.problem.instructions[time], program.problem.target
    all_hbm = instruction.total_bytes / target.hbm_bandwidth
    if all_hbm <= instruction.compute_seconds:
        return all_hbm - instruction.compute_seconds
    fast = target.fast_write_bandwidth if writes else target.fast_read_bandwidth
    saved = site_bytes / target.hbm_bandwidth - site_bytes / fast
    return saved * float(WHILE_EXECUTIONS) ** loops(program, time)


def loops(program: Program, time: int) -> int:
    """How many while loops enclose a time."""
    loops = 0
    computation: int | None = program.computation[time]
    while computation is not None:
        loops += program.problem.computations[computation].kind in ("body", "condition")
        caller = program.caller[computation]
        computation = None if caller is None else program.computation[caller]
    return loops
