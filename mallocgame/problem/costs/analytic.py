"""Costs from the HLO alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mallocgame.problem.chips import CHIPS
from mallocgame.problem.costs.accessed import AccessedBytes
from mallocgame.problem.costs.cost import Cost, is_untimed
from mallocgame.problem.costs.flops import Arithmetic, Work
from mallocgame.problem.costs.kernels import (
    KernelCost,
    Source,
    body_of,
    digest_of,
    estimate_of,
    is_kernel,
    kernel_bytes,
)
from xla_dump_parser import hlo

if TYPE_CHECKING:
    from mallocgame.problem.schema import Target


FALLBACK = "v5e"
"""The chip whose rates are taken for a target of another name."""

TRANSCENDENTAL_OPERATIONS = 10
"""Vector operations that one transcendental function takes in a fusion with a matrix product (fitted)."""


class AnalyticCosts:
    """Costs of the instructions of one module on one target."""

    def __init__(self, module: hlo.HloModule, target: Target, kernels: Mapping[str, KernelCost] | None = None) -> None:
        """``kernels``: by digest, what is known of the module's kernels."""
        self._accessed = AccessedBytes(module)
        self._arithmetic = Arithmetic(module)
        self._rates = CHIPS[target.name if target.name in CHIPS else FALLBACK].rates
        self._min_seconds = target.min_seconds
        self._kernels = kernels or {}

    def source(self, instruction: hlo.Instruction) -> Source | None:
        """Where the cost of a kernel is from; None for any other instruction."""
        if not is_kernel(instruction):
            return None
        if estimate_of(instruction) is not None:
            return "estimate"
        return "none" if self._read(instruction) is None else "kernel"

    def guesses(self, instructions: Iterable[hlo.Instruction]) -> list[str]:
        """What was guessed of the kernels among these that are costed by what was read, each for itself."""
        read = (self._read(step) for step in instructions if self.source(step) == "kernel")
        return [guess for cost in read if cost is not None for guess in cost.guesses]

    def cost(self, computation: hlo.Computation, instruction: hlo.Instruction) -> Cost:
        """The cost of an instruction of a scheduled computation."""
        if is_untimed(instruction.opcode):
            return Cost(0.0, 0.0)
        operands = self._accessed.operands(computation, instruction)
        outputs = self._accessed.outputs(computation, instruction)
        total = sum(operands.values()) + sum(outputs.values())
        if is_kernel(instruction):
            return self._kernel(computation, instruction, Cost(self._min_seconds, float(total), operands, outputs))
        work = self._arithmetic.work(computation, instruction)
        return Cost(self._compute_seconds(work), float(total), operands, outputs)

    def _kernel(self, computation: hlo.Computation, kernel: hlo.Instruction, unknown: Cost) -> Cost:
        estimate = estimate_of(kernel)
        if estimate is not None:
            work = Work(int(estimate.flops), int(estimate.transcendentals))
            return replace(unknown, compute_seconds=self._compute_seconds(work), total_bytes=estimate.total_bytes)
        read = self._read(kernel)
        if read is None:
            return unknown
        operands, outputs = kernel_bytes(computation, kernel, read)
        total = sum(operands.values()) + sum(outputs.values())
        return Cost(self._compute_seconds(Work(read.flops, read.transcendentals)), total, operands, outputs)

    def _read(self, kernel: hlo.Instruction) -> KernelCost | None:
        return self._kernels.get(digest_of(body_of(kernel)))

    def _compute_seconds(self, work: Work) -> float:
        rates = self._rates
        seconds = max(self._min_seconds, work.flops / rates.flops, work.transcendentals / rates.transcendentals)
        if not work.matrix or not rates.matrix:
            return seconds
        vector = work.flops - work.matrix + TRANSCENDENTAL_OPERATIONS * work.transcendentals
        return max(seconds, work.padded / rates.matrix + vector / rates.vector)
