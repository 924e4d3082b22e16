"""Costs from the HLO alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mallocgame.problem.chips import CHIPS
from mallocgame.problem.costs.accessed import AccessedBytes
from mallocgame.problem.costs.cost import Cost, is_untimed
from mallocgame.problem.costs.flops import Arithmetic
from xla_dump_parser import hlo

if TYPE_CHECKING:
    from mallocgame.problem.schema import Target


FALLBACK = "v5e"
"""The chip whose rates are taken for a target of another name."""

TRANSCENDENTAL_OPERATIONS = 10
"""Vector operations that one transcendental function takes in a fusion with a matrix product (fitted)."""


class AnalyticCosts:
    """Costs of the instructions of one module on one target."""

    def __init__(self, module: hlo.HloModule, target: Target) -> None:
        self._accessed = AccessedBytes(module)
        self._arithmetic = Arithmetic(module)
        self._rates = CHIPS[target.name if target.name in CHIPS else FALLBACK].rates
        self._min_seconds = target.min_seconds

    def cost(self, computation: hlo.Computation, instruction: hlo.Instruction) -> Cost:
        """The cost of an instruction of a scheduled computation."""
        if is_untimed(instruction.opcode):
            return Cost(0.0, 0.0)
        operands = self._accessed.operands(computation, instruction)
        outputs = self._accessed.outputs(computation, instruction)
        total = sum(operands.values()) + sum(outputs.values())
        return Cost(self._compute_seconds(computation, instruction), float(total), operands, outputs)

    def _compute_seconds(self, computation: hlo.Computation, instruction: hlo.Instruction) -> float:
        work = self._arithmetic.work(computation, instruction)
        rates = self._rates
        seconds = max(self._min_seconds, work.flops / rates.flops, work.transcendentals / rates.transcendentals)
        if not work.matrix or not rates.matrix:
            return seconds
        vector = work.flops - work.matrix + TRANSCENDENTAL_OPERATIONS * work.transcendentals
        return max(seconds, work.padded / rates.matrix + vector / rates.vector)
