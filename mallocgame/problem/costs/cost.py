"""The cost of one instruction, wherever it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ShapeIndex = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one instruction takes and touches.

    Attributes:
        compute_seconds: time at peak rate, memory not counted.
        total_bytes: bytes accessed, operands and outputs together.
        operand_bytes: bytes accessed by (operand number, index of the array in the operand's shape).
        output_bytes: bytes accessed by index of the array in the result's shape.
    """

    compute_seconds: float
    total_bytes: float
    operand_bytes: Mapping[tuple[int, ShapeIndex], float] = field(default_factory=dict)
    output_bytes: Mapping[ShapeIndex, float] = field(default_factory=dict)


NO_BYTES = frozenset(
    {"parameter", "constant", "get-tuple-element", "bitcast", "while", "conditional", "call", "after-all", "domain",
     "add-dependency", "partition-id", "replica-id", "opt-barrier", "optimization-barrier"}
)  # fmt: skip
"""Opcodes that access no bytes of their own (OpenXLA hlo_cost_analysis.cc); what they call is counted by itself."""

NO_TIME = frozenset({"parameter", "while", "conditional", "call"})
"""Opcodes that MSA gives no time at all; others of ``NO_BYTES`` take the least time of an instruction."""


def is_asynchronous(opcode: str) -> bool:
    """Whether an opcode starts, continues or ends an asynchronous operation."""
    return opcode.endswith(("-start", "-update", "-done"))


def is_untimed(opcode: str) -> bool:
    """Whether MSA gives instructions of this opcode no time."""
    return opcode in NO_TIME or opcode.endswith(("-start", "-done"))
