"""The accelerators that the compiler can be asked for, and their constants.

Fast memory, alignment and bandwidths are what MSA prints with libtpu 0.0.52 at its default options; HBM capacities are
the products' data sheets. ``target_from_log`` takes what one compile printed instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from mallocgame.errors import BadInputError
from mallocgame.problem.schema import Target
from xla_dump_parser.compile_log import CompileLog

_GIB = 2**30
_VMEM, _CMEM = 1, 3
_ROUGHLY = 3e-5
"""Relative: wider than the rounding of two 6-digit figures, narrower than the gap between plausible sizes."""


def _target(name: str, space: int, heap: int, hbm: float, ratio: float, clock: float, capacity: int) -> Target:
    return Target(
        name=name,
        fast_space=space,
        fast_bytes=heap,
        alignment=4096,
        hbm_bandwidth=hbm,
        fast_read_bandwidth=hbm * ratio,
        fast_write_bandwidth=hbm * ratio,
        min_seconds=1 / clock,
        hbm_bytes=capacity * _GIB,
    )


TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        _target("v4 lite", _CMEM, 134_217_728, 4.91774e11, 6.0, 1.05e9, 8),
        _target("v4", _CMEM, 67_108_864, 4.91238e11, 6.0, 1.05e9, 32),
        _target("v5e", _VMEM, 117_440_512, 7.37660e11, 22.5, 1.5e9, 16),
        _target("v5p", _VMEM, 50_266_112, 2.3504e12, 7.7, 1.75e9, 95),
        _target("v6e", _VMEM, 100_597_760, 1.638e12, 13.0, 1.75e9, 32),
        _target("tpu7x", _VMEM, 33_488_896, 3.68600e12, 3.2, 1.9e9, 96),
    )
}
"""By name. Fast memory's bandwidth is a fixed multiple of HBM's in MSA's model, for reading and writing alike."""

TOPOLOGIES: Mapping[str, Mapping[int, str]] = {
    "v4 lite": {1: "v4 lite:1x1", 4: "v4 lite:2x2", 8: "v4 lite:2x4", 16: "v4 lite:4x4"},
    "v4": {8: "v4:2x2x1", 16: "v4:2x2x2"},
    "v5e": {1: "v5e:1x1", 4: "v5e:2x2", 8: "v5e:2x4", 16: "v5e:4x4"},
    "v5p": {4: "v5p:2x2x1", 8: "v5p:2x2x2", 16: "v5p:2x2x4"},
    "v6e": {1: "v6e:1x1", 4: "v6e:2x2", 8: "v6e:2x4", 16: "v6e:4x4"},
    "tpu7x": {8: "tpu7x:2x2x1", 16: "tpu7x:2x2x2"},
}
"""Topologies of each target by the number of devices that libtpu 0.0.52 gives them: chips, on v4 and tpu7x cores."""

DEVICE_KINDS: Mapping[str, str] = {
    "v4 lite": "TPU v4 lite",
    "v4": "TPU v4",
    "v5e": "TPU v5 lite",
    "v5p": "TPU v5",
    "v6e": "TPU v6 lite",
    "tpu7x": "TPU7x",
}
"""``device_kind`` that JAX gives to the devices of each target's topologies (libtpu 0.0.52)."""

TARGET_OF_KIND: Mapping[str, str] = {
    **{kind: target for target, kind in DEVICE_KINDS.items()},
    "TPU v5e": "v5e",
    "TPU v5p": "v5p",
    "TPU v6e": "v6e",
}
"""Targets by ``jax.Device.device_kind``: libtpu's names of described devices, and the ones that hosts have shown."""


def get_target(name: str) -> Target:
    """The target of a name.

    Raises:
        BadInputError: no such target.
    """
    target = TARGETS.get(name)
    if target is None:
        raise BadInputError(f"unknown target {name!r}; known are {', '.join(map(repr, TARGETS))}")
    return target


def topology_for(name: str, devices: int) -> str:
    """The smallest topology of a target with at least so many devices.

    Raises:
        BadInputError: no such target, or none of its topologies has so many devices.
    """
    topologies = TOPOLOGIES[get_target(name).name]
    enough = [size for size in topologies if size >= devices]
    if not enough:
        raise BadInputError(f"the program is for {devices} devices; {name} is known with up to {max(topologies)}")
    return topologies[min(enough)]


def target_from_log(target: Target, log: CompileLog) -> Target:
    """The target with what the log says: heap, alignment, memory space, HBM bandwidth, least time.

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
    bandwidth = hbm_bandwidth(target, log)
    if bandwidth is not None:
        changes["hbm_bandwidth"] = bandwidth
        changes["fast_read_bandwidth"] = bandwidth * target.fast_read_bandwidth / target.hbm_bandwidth
        changes["fast_write_bandwidth"] = bandwidth * target.fast_write_bandwidth / target.hbm_bandwidth
    return replace(target, **changes)  # type: ignore[arg-type]


def hbm_bandwidth(target: Target, log: CompileLog) -> float | None:
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
    """The bytes/second that most instructions reach with everything in HBM: those that are bound by memory."""
    totals = {instruction: cost.total_bytes for (_, instruction), cost in log.costs.items()}
    rates = sorted(
        total / resource.seconds
        for resource in log.resources
        if resource.seconds > 1e-8 and (total := totals.get(resource.instruction))
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
