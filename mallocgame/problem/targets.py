"""The accelerators that the compiler can be asked for, and their constants.

Fast memory, alignment and bandwidths are what MSA prints with libtpu 0.0.52 at its default options; HBM capacities are
the products' data sheets. ``target_from_log`` takes what one compile printed instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from mallocgame.errors import BadInputError
from mallocgame.problem.schema import Target
from xla_dump_parser.compile_log import CompileLog

_GIB = 2**30
_VMEM, _CMEM = 1, 3


def _target(
    name: str, space: int, heap: int, hbm: float, fast: float, clock: float, capacity: int, fast_write: float | None = None
) -> Target:
    return Target(
        name=name,
        fast_space=space,
        fast_bytes=heap,
        alignment=4096,
        hbm_bandwidth=hbm,
        fast_read_bandwidth=fast,
        fast_write_bandwidth=fast if fast_write is None else fast_write,
        min_seconds=1 / clock,
        hbm_bytes=capacity * _GIB,
    )


TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        _target("v4 lite", _CMEM, 134_217_728, 4.91774e11, 2.951e12, 1.05e9, 8),
        _target("v4", _CMEM, 67_108_864, 4.912e11, 2.947e12, 1.05e9, 32),
        _target("v5e", _VMEM, 117_440_512, 7.376606e11, 1.6597e13, 1.5e9, 16),
        _target("v5p", _VMEM, 50_266_112, 2.3504e12, 1.810e13, 1.75e9, 95),
        _target("v6e", _VMEM, 100_597_760, 1.638e12, 2.129e13, 1.75e9, 32),
        _target("tpu7x", _VMEM, 33_488_896, 3.686e12, 2.5e13, 1.9e9, 96),
    )
}
"""By name."""

TOPOLOGIES: Mapping[str, str] = {
    "v4 lite": "v4 lite:1x1",
    "v4": "v4:2x2x1",
    "v5e": "v5e:1x1",
    "v5p": "v5p:2x2x1",
    "v6e": "v6e:1x1",
    "tpu7x": "tpu7x:2x2x1",
}
"""The smallest topology of each target that libtpu compiles for."""


def get_target(name: str) -> Target:
    """The target of a name.

    Raises:
        BadInputError: no such target.
    """
    target = TARGETS.get(name)
    if target is None:
        raise BadInputError(f"unknown target {name!r}; known are {', '.join(map(repr, TARGETS))}")
    return target


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
    return replace(target, **changes)  # type: ignore[arg-type]


def hbm_bandwidth(target: Target, log: CompileLog) -> float | None:
    """Bytes/second of asynchronous copies: size / seconds of the log's ``Async copy elapsed`` lines.

    MSA prints the time for one size that it picks for the whole program and does not name, so the size is the multiple
    of 512 bytes nearest to seconds x the bandwidth that the memory-bound instructions show. None where the log has no
    such line.
    """
    seconds = {reduction.copy_seconds for reduction in log.reductions if reduction.copy_seconds > 0}
    if not seconds:
        return None
    rough = _memory_bound_bandwidth(log) or target.hbm_bandwidth
    sizes = {reduction.size for reduction in log.reductions}
    low, high = 0.0, math.inf
    for copy in sorted(seconds):
        size = _likely_size(copy * rough, sizes)
        if size is None:
            continue
        half = half_unit(copy)
        low, high = max(low, size / (copy + half)), min(high, size / (copy - half))
    if low == 0.0 or low > high:
        return None
    return (low + high) / 2


def half_unit(printed: float) -> float:
    """Half of the last of the 6 significant digits that a number is printed with."""
    return 0.5 * 10.0 ** (math.floor(math.log10(printed)) - 5) if printed > 0 else 0.0


def _likely_size(estimate: float, sizes: Iterable[int]) -> int | None:
    nearest = min(sizes, key=lambda size: abs(size - estimate))
    if abs(nearest - estimate) <= 3e-5 * estimate:
        return nearest
    rounded = round(estimate / 512) * 512
    return rounded if rounded and abs(rounded - estimate) <= 3e-5 * estimate else None


def _memory_bound_bandwidth(log: CompileLog) -> float | None:
    """The most bytes/second of any instruction with everything in HBM, which is what a memory-bound one reaches."""
    totals = {instruction: cost.total_bytes for (_, instruction), cost in log.costs.items()}
    rates = [
        total / resource.seconds
        for resource in log.resources
        if resource.seconds > 1e-8 and (total := totals.get(resource.instruction))
    ]
    return max(rates, default=None)


def _option(log: CompileLog, name: str) -> int | None:
    text = log.options.get(name, "").strip()
    return int(text) if text.isdigit() and len(text) < 16 else None
