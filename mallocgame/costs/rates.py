"""How fast a core computes, as the compiler's cost model has it.

Fitted to the logged compute-seconds (libtpu 0.0.52) of matrix products in bf16, f32 and int8, which all run at one
rate, of element-wise fusions, which are counted at that same rate, and of fusions of transcendental functions. For the
first four targets the figures reproduce every logged time of such instructions to 6 digits.
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
        matrix: operations/second of a fusion's matrix products where these are not at the rate of all others, else 0.
        vector: in such a fusion, element-wise operations/second, which add to the time of the matrix products.
    """

    flops: float
    transcendentals: float
    matrix: float = 0.0
    vector: float = 0.0


RATES: Mapping[str, Rates] = {
    "v4 lite": Rates(1.37e14, 5.3775e11),
    "v4": Rates(1.37e14, 5.3775e11),
    "v5e": Rates(1.97e14, 1.536e12),
    "v5p": Rates(3.94e14, 3.072e12),
    "v6e": Rates(9.18e14, 3.584e12, matrix=4.59e14, vector=7.168e12),
    "tpu7x": Rates(1.15e15, 3.9e12, matrix=5.75e14, vector=7.8e12),
    "H100 SXM": Rates(9.89e14, 3.9e12),
    "H200": Rates(9.89e14, 3.9e12),
    "A100": Rates(3.12e14, 2.4e12),
    "L4": Rates(1.21e14, 1.9e12),
}
"""By target name. The GPUs, which only the offload game knows: bf16 peak of the data sheets, 16 transcendentals a cycle
and multiprocessor at boost clock. Of v6e and tpu7x, fusions with a matrix product or a convolution are costed by the
compiler for the windows that its emitter chooses, which the HLO does not show: half the peak rate, features filled up
to 128 lanes, and 4 x 1024 vector operations a cycle come near it (most within 15 %, some far off)."""

TRANSCENDENTAL_OPERATIONS = 10
"""Vector operations that one transcendental function takes in such a fusion (fitted)."""

FALLBACK = RATES["v5e"]
"""For a target of another name."""
