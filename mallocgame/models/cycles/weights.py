"""How many cycles each operand or output saves by being in fast memory, from a few observations.

What compiles for v4 lite and v5p show (docs/cycles.md): a copy's cycles are a sum over its two sides. Of a loop
fusion, operands cost the same in both memories; an output costs its bytes over HBM less in VMEM, and up to as much more
in CMEM. Only convolutions and dots overlap transfers with computing: what one operand saves depends on the others, and
hardly any is faster than its compute time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mallocgame.models.cycles.sites import site_cycles
from mallocgame.problem.schema import Problem

VMEM, CMEM = 1, 3
"""``Target.fast_space``: fast memory that instructions work in, and one beside that."""

COPY_SHARE = {VMEM: 0.97, CMEM: 0.6}
"""Part of a copy's cycles that its two transfers take; the rest stays wherever its sides are."""

LOOP_OUTPUT = 1.0
"""Cycles that an output of a loop fusion saves by being in VMEM, as a share of its HBM cycles; operands save none."""

PRODUCT_OPERAND = {VMEM: 1.5, CMEM: 0.7}
PRODUCT_OUTPUT = {VMEM: 1.0, CMEM: 0.0}
"""What an operand or output of a matrix product saves, as a share of its HBM cycles."""

PRODUCT_SLACK = 0.9
"""With VMEM, operands save at least their part of this share of the cycles beyond the compute time: they are often read
several times."""

UNKNOWN_OPERAND = 0.5
"""What an operand in VMEM saves where it is not known whether the instruction is a matrix product."""

CMEM_LOSS = 1.1
"""Cycles that an output in CMEM may cost more, as a share of its HBM cycles."""

LEAST = 0.01
"""Least |weight|, as a share of the HBM cycles: of placements that cost the same, that is nearer which moves less."""

RIDGE = 1e-3
SWEEPS = 300


@dataclass(frozen=True, slots=True)
class Fit:
    """How the cycles of one instruction depend on its placement.

    Attributes:
        weights: (S,) cycles that each site saves by being fast.
        floor: least cycles of any prediction.
    """

    weights: NDArray[np.float64]
    floor: float


def fit(problem: Problem, time: int, observed: Mapping[int, float], product: bool | None) -> Fit:
    """Weights and floor of the instruction at ``time``.

    The weights explain the differences between the observations as well as they can; of those that do, they are the
    nearest to what is expected of such an instruction, where a site may be off in proportion to its bytes.

    Args:
        problem: the instruction's.
        time: of the instruction.
        observed: cycles by placement mask, at least one.
        product: whether it multiplies matrices; None if that is not known.
    """
    instruction, target = problem.instructions[time], problem.target
    hbm = site_cycles(problem, time)
    outputs: NDArray[np.bool_] = np.arange(len(hbm)) >= len(problem.uses_at[time])
    space = CMEM if target.fast_space == CMEM else VMEM
    compute = instruction.compute_seconds / target.min_seconds
    most, bytes_cycles = max(observed.values()), max(float(hbm.sum()), 1.0)
    if instruction.opcode == "copy":
        expected = COPY_SHARE[space] * most / bytes_cycles * hbm
    elif product:
        slack = PRODUCT_SLACK * (most - compute) / bytes_cycles if space == VMEM else 0.0
        expected = np.where(outputs, PRODUCT_OUTPUT[space], max(PRODUCT_OPERAND[space], slack)) * hbm
    elif space == CMEM:
        expected = np.zeros(len(hbm))
    else:
        expected = np.where(outputs, LOOP_OUTPUT, 0.0 if product is False else UNKNOWN_OPERAND) * hbm
    least: NDArray[np.float64] = np.where(outputs & (space == CMEM), -CMEM_LOSS * hbm - 1.0, 0.0)
    weights = _explain(observed, expected, least, hbm)
    weights = np.where(np.abs(weights) < LEAST * hbm, LEAST * hbm, weights)
    return Fit(weights, min(*observed.values(), compute))


def _explain(
    observed: Mapping[int, float],
    expected: NDArray[np.float64],
    least: NDArray[np.float64],
    hbm: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The weights at or above ``least`` that minimise the squared errors plus RIDGE times (w - expected)^2 / hbm."""
    sites = len(expected)
    if len(observed) < 2 or sites == 0:
        return np.maximum(expected, least)
    masks, cycles = list(observed), np.array(list(observed.values()), dtype=np.float64)
    bits: NDArray[np.float64] = np.array([[mask >> bit & 1 for bit in range(sites)] for mask in masks], np.float64)
    scale: NDArray[np.float64] = np.sqrt(np.maximum(hbm, 1.0))
    changed: NDArray[np.float64] = bits[1:] - bits[0]
    unexplained: NDArray[np.float64] = cycles[0] - cycles[1:] - changed @ expected
    design: NDArray[np.float64] = changed * scale
    gram: NDArray[np.float64] = design.T @ design
    gram += np.eye(sites) * max(RIDGE * float(np.trace(gram)) / sites, 1e-9)
    wanted: NDArray[np.float64] = design.T @ unexplained
    lowest: NDArray[np.float64] = (least - expected) / scale
    found: NDArray[np.float64] = np.linalg.solve(gram, wanted).astype(np.float64)
    if (found < lowest).any():
        found[:] = np.maximum(found, lowest)
        for _ in range(SWEEPS):
            before = found.copy()
            for site in range(sites):
                rest = float(wanted[site] - gram[site] @ found) / gram[site, site] + found[site]
                found[site] = max(lowest[site], rest)
            if np.abs(found - before).max() <= 1e-7 * max(1.0, np.abs(found).max()):
                break
    return expected + found * scale
