"""What one compile's log says of its target, in place of the table's figures."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Protocol

from mallocgame.problem.schema import Target
from mallocgame.system.errors import BadInputError
from xla_dump_parser.compile_log import CompileLog

_ROUGHLY = 3e-5
"""Relative: wider than the rounding of two 6-digit figures, narrower than the gap between plausible sizes."""


def target_from_log(target: Target, log: CompileLog, beside: Collection[str]) -> Target:
    """The target with what the log says: heap, alignment, memory space, HBM bandwidth, least time.

    Args:
        target: of the table.
        log: of one compile.
        beside: names of the instructions that run beside asynchronous operations: their ``Initial resource`` is 0.8 of
            the time that they take (libtpu 0.0.52, beside a SparseCore's gathers: dlrm on v6e, gru on v5p).

    Raises:
        BadInputError: the log is of another kind of memory than the target.
    """
    changes: dict[str, int | float] = {}
    space = _option(log, "alternate_memory_space")
    if space is not None and space != target.fast_space:
        raise BadInputError(f"the log's fast memory is S({space}), that of {target.name} is S({target.fast_space})")
    heap, alignment = _option(log, "max_size_in_bytes"), _option(log, "alignment_in_bytes")
    if heap:
        changes["fast_bytes"] = heap
    if alignment:
        changes["alignment"] = alignment
    bandwidth = _hbm_bandwidth(target, _alone(log, beside))
    if bandwidth is not None:
        changes["hbm_bandwidth"] = bandwidth
        changes["fast_read_bandwidth"] = bandwidth * target.fast_read_bandwidth / target.hbm_bandwidth
        changes["fast_write_bandwidth"] = bandwidth * target.fast_write_bandwidth / target.hbm_bandwidth
    return replace(target, **changes)  # type: ignore[arg-type]


class HasOpcode(Protocol):
    """An instruction."""

    @property
    def opcode(self) -> str:
        """HLO opcode."""


def times_beside_asynchronous(instructions: Iterable[HasOpcode]) -> frozenset[int]:
    """Times, of instructions in the order of the schedule, at which an asynchronous operation runs."""
    running = accumulate((one.opcode == "async-start") - (one.opcode == "async-done") for one in instructions)
    return frozenset(time for time, count in enumerate(running) if count)


def _alone(log: CompileLog, beside: Collection[str]) -> CompileLog:
    return replace(log, resources=tuple(one for one in log.resources if one.instruction not in beside))


def _hbm_bandwidth(target: Target, log: CompileLog) -> float | None:
    """Bytes/second of asynchronous copies: size / seconds of the log's ``Async copy elapsed`` lines.

    MSA prints the time for one size that it picks for the whole program and does not name, so the size is the multiple
    of 512 bytes nearest to seconds x the bandwidth that the memory-bound instructions show. The prefetch intervals
    are multiples of the same times and give more digits, and so do the elapsed times of memory-bound instructions as
    far as they agree. None where the log has no such line.
    """
    rough = _memory_bound_bandwidth(log) or target.hbm_bandwidth
    sizes = {reduction.size for reduction in log.reductions}
    heap = _option(log, "max_size_in_bytes") or target.fast_bytes
    copies = {reduction.copy_seconds for reduction in log.reductions}
    bounds: list[tuple[float, float]] = []
    for seconds in sorted(copies - {0.0}):
        size = _likely_size(seconds * rough, sizes)
        if size is None:
            continue
        bounds.append(_rates(size, seconds))
        bounds.extend(_rates(size * ratio, times) for ratio, times in _multiples(log, seconds))
    for interval in log.intervals:
        ratio = round(interval.maximum * rough / heap)
        if ratio and abs(interval.maximum * rough / (ratio * heap) - 1) <= _ROUGHLY:
            bounds.append(_rates(ratio * heap, interval.maximum))
    low, high = (max(low for low, _ in bounds), min(high for _, high in bounds)) if bounds else (1.0, 0.0)
    if low > high:
        return None
    for total, seconds in _exact_times(log):
        slowest, fastest = _rates(total, seconds)
        if slowest <= high and fastest >= low:
            low, high = max(low, slowest), min(high, fastest)
    return (low + high) / 2


def _rates(size: float, seconds: float) -> tuple[float, float]:
    half = half_unit(seconds)
    return size / (seconds + half), size / (seconds - half)


def _exact_times(log: CompileLog) -> Iterator[tuple[float, float]]:
    """(bytes accessed, elapsed seconds in HBM) of instructions whose bytes are printed with all digits."""
    totals = {instruction: cost.total_bytes for (_, instruction), cost in log.costs.items()}
    for resource in log.resources:
        total = totals.get(resource.instruction)
        if total is not None and 1e4 < total < 1e6 and resource.seconds > 0:
            yield total, resource.seconds


def _multiples(log: CompileLog, seconds: float) -> Iterator[tuple[int, float]]:
    """(ratio, printed seconds) of the intervals that are a multiple of a copy's time."""
    for interval in log.intervals:
        for times in (interval.minimum, interval.preferred):
            ratio = round(times / seconds)
            if ratio and abs(times / (ratio * seconds) - 1) <= _ROUGHLY:
                yield ratio, times


def half_unit(printed: float) -> float:
    """Half of the last of the 6 significant digits that a number is printed with."""
    return 0.5 * 10.0 ** (math.floor(math.log10(printed)) - 5) if printed > 0 else 0.0


def _likely_size(estimate: float, sizes: Iterable[int]) -> int | None:
    nearest = min(sizes, key=lambda size: abs(size - estimate))
    if abs(nearest - estimate) <= _ROUGHLY * estimate:
        return nearest
    rounded = round(estimate / 512) * 512
    return rounded if rounded and abs(rounded - estimate) <= _ROUGHLY * estimate else None


def _memory_bound_bandwidth(log: CompileLog) -> float | None:
    """The bytes/second that most instructions reach with everything in HBM, of those that are bound by memory.

    None where all are bound by computing.
    """
    costs = {instruction: cost for (_, instruction), cost in log.costs.items()}
    rates = sorted(
        cost.total_bytes / resource.seconds
        for resource in log.resources
        if resource.seconds > 1e-8
        and (cost := costs.get(resource.instruction)) is not None
        and cost.total_bytes
        and resource.seconds > (cost.compute_seconds or 0.0) * (1 + _ROUGHLY)
    )
    most, rate, start = 0, None, 0
    for end, highest in enumerate(rates):
        while rates[start] < highest * (1 - _ROUGHLY):
            start += 1
        if end + 1 - start > most:
            most, rate = end + 1 - start, rates[(start + end) // 2]
    return rate


def _option(log: CompileLog, name: str) -> int | None:
    text = log.options.get(name, "").strip()
    return int(text) if text.isdigit() and len(text) < 16 else None
