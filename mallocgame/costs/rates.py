"""How fast a core computes, as the compiler's cost model has it.

Fitted to the logged compute-seconds (libtpu 0.0.52) of matrix products in bf16, f32 and int8, which all run at one rate,
of element-wise fusions, which are counted at that same rate, and of fusions of transcendental functions. For the first
four targets the figures reproduce every logged time of such instructions to 6 digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """Peak rates of one core.

    Attributes:
        flops: floating-point operations/second.
        transcendentals: transcendental functions/second.
    """

    flops: float
    transcendentals: float


RATES: Mapping[str, Rates] = {
    "v4 lite": Rates(1.37e14, 5.3775e11),
    "v4": Rates(1.37e14, 5.3775e11),
    "v5e": Rates(1.97e14, 1.536e12),
    "v5p": Rates(3.94e14, 3.072e12),
    "v6e": Rates(9.18e14, 3.584e12),
    "tpu7x": Rates(1.15e15, 3.9e12),
}
"""By target name."""

FALLBACK = RATES["v5e"]
"""For a target of another name."""
