"""Cycles that no compile has shown: an estimate of E for programs of which there is nothing but the schedule.

Each instruction is given the cycles that it is expected to take with everything in HBM, as if they had been observed;
``mallocgame.models.cycles.weights`` then says what each operand and output saves in fast memory, so that E sees what M
cannot: the windows that fusions read their operands through anyway.

The coefficients are rounded from least squares of relative errors over the cycles that XLA's defaults show for 3,963
instructions of 35 captures (v5e, v5p and v4 lite, libtpu 0.0.52). Single instructions are off by 30 % and more; what
counts is which placements they call better.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from mallocgame.models.cycles.sites import site_cycles
from mallocgame.models.cycles.table import CycleTable
from mallocgame.models.cycles.weights import CMEM, VMEM
from mallocgame.problem.schema import Problem


@dataclass(frozen=True, slots=True)
class _Rates:
    """Cycles of an instruction: per compute cycle, per HBM cycle of operands and of outputs, and beside these."""

    compute: float
    read: float
    written: float
    base: float


_COPY = {VMEM: _Rates(0.0, 3.8, 3.4, 300.0), CMEM: _Rates(0.0, 2.4, 2.5, 300.0)}
_PRODUCT = {VMEM: _Rates(1.0, 1.4, 1.6, 300.0), CMEM: _Rates(0.85, 1.2, 1.4, 1200.0)}
_OTHER = {VMEM: _Rates(1.0, 2.6, 0.8, 1300.0), CMEM: _Rates(1.0, 2.6, 0.0, 600.0)}


def estimated_cycles(problem: Problem, products: Collection[int]) -> list[float | None]:
    """For each time the cycles with everything in HBM; None for what takes no time, or the links' time.

    Args:
        problem: of the schedule.
        products: the times that multiply matrices (``products_of``).
    """
    space = CMEM if problem.target.fast_space == CMEM else VMEM
    found: list[float | None] = []
    for time, instruction in enumerate(problem.instructions):
        if instruction.free or instruction.link_seconds:
            found.append(None)
            continue
        hbm, reads = site_cycles(problem, time), len(problem.uses_at[time])
        kinds = _COPY if instruction.opcode == "copy" else _PRODUCT if time in products else _OTHER
        rates = kinds[space]
        compute = instruction.compute_seconds / problem.target.min_seconds
        moved = rates.read * float(np.sum(hbm[:reads])) + rates.written * float(np.sum(hbm[reads:]))
        found.append(rates.compute * compute + moved + rates.base)
    return found


def estimated_table(problem: Problem, products: Collection[int]) -> CycleTable:
    """A table that knows these cycles alone."""
    table = CycleTable(problem, products)
    table.observe([0] * len(problem.instructions), estimated_cycles(problem, products))
    return table
