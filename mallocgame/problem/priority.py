"""Memory-boundedness and the order in which MSA allocates (OpenXLA cost_analysis.cc, algorithm.cc)."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from mallocgame.problem.evictions import WHILE_EXECUTIONS, loops
from mallocgame.problem.schema import Problem

ROUNDING = 1e-4
"""Of MSA's values, which it sums in 32 bits: what is no further apart may come either way round. So far apart, 3,200 of
the 3,259 buffers of more than 8 KiB in the tables of 16 compile logs come in this order (libtpu 0.0.52); 57 of the rest
are of two programs, 44 of them in one with slices that XLA replaces by copies, which plans do not let it."""

SortKey = tuple[float, int, int, int, int, int]


def order(problem: Problem) -> list[int]:
    """Groups in the order in which MSA serves them: most memory bound a square root of a byte first.

    Ties as in MSA: larger first, then longer live, then earlier latest use, earlier start, smaller id.
    """
    return sorted(range(len(problem.groups)), key=lambda group: _key(problem, group))


def tiers(problem: Problem) -> tuple[tuple[int, ...], ...]:
    """Groups in the order in which MSA serves them; those of a tier may come in any order, for all that we know."""
    found: list[list[int]] = []
    first = 0.0
    for group in order(problem):
        value = boundedness(problem, group)
        if not found or first - value > ROUNDING * abs(first):
            found.append([])
            first = value
        found[-1].append(group)
    return tuple(map(tuple, found))


def boundedness(problem: Problem, group: int) -> float:
    """Seconds saved in fast memory a square root of a byte; where nothing is saved, the distance to it, negative.

    0 for a group of no bytes, such as the empty outputs of an offloaded gather.
    """
    if not problem.groups[group].size:
        return 0.0
    combined: float | None = None
    for time, site_bytes, writes in _sites(problem, group):
        benefit = _benefit(problem, time, site_bytes, writes)
        if combined is None:
            combined = benefit
        elif combined > 0 and benefit > 0:
            combined += benefit
        else:
            combined = max(combined, benefit)
    return (combined or 0.0) / sqrt(problem.groups[group].size)


def _key(problem: Problem, group: int) -> SortKey:
    values = [problem.tensors[id] for id in problem.groups[group].tensors]
    start = min(value.live[0] for value in values)
    end = max(value.live[1] for value in values)
    latest = max((use.time for value in values for use in value.uses), default=start)
    size = problem.groups[group].size
    return (-boundedness(problem, group), -size, start - end, latest, start, values[0].id)


def _sites(problem: Problem, group: int) -> Iterator[tuple[int, float, bool]]:
    """(time, bytes, whether they are written) of the defining position and of all uses but those of callers."""
    values = [problem.tensors[id] for id in problem.groups[group].tensors]
    yield values[0].time, values[0].defined_bytes, True
    for value in values:
        for use in value.uses:
            if use.time not in problem.children:
                yield use.time, use.accessed_bytes, False


def _benefit(problem: Problem, time: int, site_bytes: float, writes: bool) -> float:
    instruction, target = problem.instructions[time], problem.target
    all_hbm = instruction.total_bytes / target.hbm_bandwidth
    if all_hbm <= instruction.compute_seconds:
        return all_hbm - instruction.compute_seconds
    fast = target.fast_write_bandwidth if writes else target.fast_read_bandwidth
    saved = site_bytes / target.hbm_bandwidth - site_bytes / fast
    return saved * float(WHILE_EXECUTIONS) ** loops(problem, instruction.computation)
