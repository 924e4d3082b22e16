"""Cycles of each instruction as a function of which of its operands and outputs are in fast memory.

The *sites* of a time are ``problem.uses_at[time]`` in order, then ``problem.definitions_at[time]`` as (tensor, -1).
A *placement mask* has bit k set where site k is fast; sites beyond the first 62 have no bit. What was compiled is
known; for another mask the nearest observation is changed by the weights of the sites that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mallocgame.calibration.weights import fit_weights
from mallocgame.plan import Plan
from mallocgame.problem.schema import Problem

MAX_SITES = 62
"""Sites of one time that have a bit."""


@dataclass(frozen=True)
class TableArrays:
    """The table as flat arrays for native code; T times, S sites and O observations in all.

    Attributes:
        first_site: int64 (T + 1,): the sites of time t are ``first_site[t]`` to ``first_site[t + 1] - 1``.
        weights: float64 (S,): cycles saved by the site being fast.
        first_observation: int64 (T + 1,): likewise for observations; none where the table knows nothing.
        masks: int64 (O,): placement masks, in the order in which they were observed.
        cycles: float64 (O,).
        floors: float64 (T,): no prediction is below.
    """

    first_site: NDArray[np.int64]
    weights: NDArray[np.float64]
    first_observation: NDArray[np.int64]
    masks: NDArray[np.int64]
    cycles: NDArray[np.float64]
    floors: NDArray[np.float64]


class CycleTable:
    """What compiles have taught about the cycles of one problem's instructions.

    The prediction for a mask is the nearest observation (least sum of weights over the differing sites, the first
    observed in a tie), less the weights of sites that are fast in the mask alone, plus the weights of those that are
    fast in the observation alone, and at least the time's floor.

    Attributes:
        problem: whose instructions.
    """

    def __init__(self, problem: Problem) -> None:
        """An empty table."""
        self.problem = problem
        self._bytes = [_site_bytes(problem, time) for time in range(len(problem.instructions))]
        self._observed: list[dict[int, float]] = [{} for _ in problem.instructions]
        self._fitted: dict[int, tuple[NDArray[np.float64], float]] = {}

    def observe(self, masks: Sequence[int], cycles: Sequence[float | None]) -> None:
        """Add a compile: for each time its mask and the emitter's cycles, None where the compile has none.

        Raises:
            ValueError: not one of each for each time.
        """
        if not len(masks) == len(cycles) == len(self._observed):
            raise ValueError("one mask and one number of cycles for each time of the problem")
        for time, (mask, count) in enumerate(zip(masks, cycles, strict=True)):
            if count is not None and not self.problem.instructions[time].free:
                self._observed[time].setdefault(mask, float(count))
                self._fitted.pop(time, None)

    def cycles(self, time: int, mask: int) -> float | None:
        """Predicted cycles; None where no compile had any for this instruction."""
        observed = self._observed[time]
        if not observed:
            return None
        weights, floor = self._fit(time)
        if mask in observed:
            return max(floor, observed[mask])
        best = min(observed, key=lambda known: _sum(weights, known ^ mask))
        return max(floor, observed[best] + _sum(weights, best & ~mask) - _sum(weights, mask & ~best))

    def arrays(self) -> TableArrays:
        """The table as it is now."""
        fits = [self._fit(time) for time in range(len(self._observed))]
        weights = [weights for weights, _ in fits]
        return TableArrays(
            first_site=_firsts([len(weights) for weights in weights]),
            weights=np.concatenate([*weights, np.zeros(0)]),
            first_observation=_firsts([len(observed) for observed in self._observed]),
            masks=np.array([mask for observed in self._observed for mask in observed], dtype=np.int64),
            cycles=np.array([count for observed in self._observed for count in observed.values()], dtype=np.float64),
            floors=np.array([floor for _, floor in fits], dtype=np.float64),
        )

    def _fit(self, time: int) -> tuple[NDArray[np.float64], float]:
        """Weights and floor of a time."""
        fitted = self._fitted.get(time)
        if fitted is None:
            observed = self._observed[time]
            weights = fit_weights(list(observed), list(observed.values()), self._bytes[time])
            fitted = weights, min(observed.values(), default=0.0)
            self._fitted[time] = fitted
        return fitted


def sites_of(problem: Problem, time: int) -> tuple[tuple[int, int], ...]:
    """The (tensor, use index or -1) of a time that have a bit, lowest bit first."""
    defined = tuple((tensor, -1) for tensor in problem.definitions_at[time])
    return (*problem.uses_at[time], *defined)[:MAX_SITES]


def plan_masks(problem: Problem, plan: Plan) -> list[int]:
    """For each time the mask of a plan."""
    fast = {*plan.fast_uses, *((tensor, -1) for tensor in plan.fast_definitions)}
    return [
        sum(1 << bit for bit, site in enumerate(sites_of(problem, time)) if site in fast)
        for time in range(len(problem.instructions))
    ]


def _site_bytes(problem: Problem, time: int) -> NDArray[np.float64]:
    """Bytes that the instruction at ``time`` accesses at each of its sites."""
    tensors = problem.tensors
    found = [
        tensors[tensor].defined_bytes if use < 0 else tensors[tensor].uses[use].accessed_bytes
        for tensor, use in sites_of(problem, time)
    ]
    return np.array(found, dtype=np.float64)


def _sum(weights: NDArray[np.float64], mask: int) -> float:
    return float(sum(weight for bit, weight in enumerate(weights) if mask >> bit & 1))


def _firsts(counts: list[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
