"""MSA's time of one instruction (OpenXLA cost_analysis.cc)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mallocgame.problem.schema import Target


def m_elapsed(
    target: Target,
    compute_seconds: float,
    total_bytes: float,
    fast_read_bytes: float = 0.0,
    fast_write_bytes: float = 0.0,
) -> float:
    """Seconds that an instruction takes: the larger of its compute and its memory time.

    Args:
        target: the bandwidths.
        compute_seconds: time at peak rate, memory not counted.
        total_bytes: bytes accessed, operands and outputs together.
        fast_read_bytes: of these, read from fast memory.
        fast_write_bytes: of these, written to fast memory.
    """
    hbm_bytes = total_bytes - fast_read_bytes - fast_write_bytes
    memory = (
        fast_read_bytes / target.fast_read_bandwidth
        + fast_write_bytes / target.fast_write_bandwidth
        + hbm_bytes / target.hbm_bandwidth
    )
    return max(compute_seconds, memory)
