"""Costs from the HLO alone."""

from __future__ import annotations

from mallocgame.costs.accessed import AccessedBytes
from mallocgame.costs.cost import NO_TIME, Cost, is_asynchronous
from xla_dump_parser import hlo


class AnalyticCosts:
    """Costs of the instructions of one module on one target."""

    def __init__(self, module: hlo.HloModule, min_seconds: float) -> None:
        self._accessed = AccessedBytes(module)
        self._min_seconds = min_seconds

    def cost(self, computation: hlo.Computation, instruction: hlo.Instruction) -> Cost:
        """The cost of an instruction of a scheduled computation."""
        if instruction.opcode in NO_TIME or is_asynchronous(instruction.opcode):
            return Cost(0.0, 0.0)
        operands = self._accessed.operands(computation, instruction)
        outputs = self._accessed.outputs(computation, instruction)
        total = sum(operands.values()) + sum(outputs.values())
        return Cost(self._min_seconds, float(total), operands, outputs)
