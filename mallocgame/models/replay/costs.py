"""Seconds of one instruction under the two cost models of game.md."""

from __future__ import annotations

from mallocgame.models.replay.records import Model
from mallocgame.problem.schema import Target


def instruction_seconds(
    target: Target,
    model: Model,
    compute_seconds: float,
    cycles: float | None,
    total_bytes: float,
    fast_read: float,
    fast_write: float,
) -> tuple[float, float]:
    """How long an instruction takes, and how much HBM time its own bytes need.

    M is elapsed of OpenXLA cost_analysis.cc (memory is a sum over the two memories, compute overlaps with it; the
    pipeline overhead window is 0, measured on v5e). E is the larger of the emitter's cycles at the core clock and the
    HBM time of the instruction's own bytes; without cycles it is M.

    Args:
        target: bandwidths, and the clock as 1 / min_seconds.
        model: which of the two.
        compute_seconds: at peak rate, memory not counted.
        cycles: the emitter's estimate; None or 0 where it has none.
        total_bytes: bytes accessed in both memories.
        fast_read: of these, bytes read from fast memory.
        fast_write: of these, bytes written to fast memory.

    Returns:
        (seconds, HBM seconds).
    """
    hbm = max(0.0, total_bytes - fast_read - fast_write) / target.hbm_bandwidth
    if model == "E" and cycles:
        return max(cycles * target.min_seconds, hbm), hbm
    memory = fast_read / target.fast_read_bandwidth + fast_write / target.fast_write_bandwidth + hbm
    return max(compute_seconds, memory), hbm
