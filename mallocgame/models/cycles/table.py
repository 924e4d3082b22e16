"""Cycles of each instruction as a function of which of its operands and outputs are in fast memory.

What was compiled is known; for another placement mask (``mallocgame.models.cycles.sites``) the nearest observation is
changed by the weights of the sites that differ.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mallocgame.models.cycles.kinds import alike, look
from mallocgame.models.cycles.sites import plan_masks, site_cycles
from mallocgame.models.cycles.weights import Fit, fit
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem


@dataclass(frozen=True)
class TableArrays:
    """The table as flat arrays for native code; T times, S sites and O observations in all.

    Attributes:
        first_site: int64 (T + 1,): the sites of time t are ``first_site[t]`` to ``first_site[t + 1] - 1``.
        weights: float64 (S,): cycles saved by the site being fast; negative where fast memory is the slower one.
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


@dataclass(frozen=True)
class _Kind:
    """What is known of instructions that are alike.

    Attributes:
        observed: cycles by mask, in the order in which they were observed.
        fit: weights, and the floor.
    """

    observed: dict[int, float]
    fit: Fit

    def cycles(self, mask: int) -> float:
        if mask in self.observed:
            return max(self.fit.floor, self.observed[mask])
        weights, distances = self.fit.weights, np.abs(self.fit.weights)
        best = min(self.observed, key=lambda known: _sum(distances, known ^ mask))
        saved = _sum(weights, mask & ~best) - _sum(weights, best & ~mask)
        return max(self.fit.floor, self.observed[best] - saved)


class CycleTable:
    """What compiles have taught about the cycles of one problem's instructions.

    The prediction for a mask is the nearest observation (least sum of |weight| over the differing sites, the first
    observed in a tie), less the weights of sites that are fast in the mask alone, plus the weights of those that are
    fast in the observation alone, and at least the time's floor. Instructions that are alike share their observations.

    Attributes:
        problem: whose instructions.
    """

    def __init__(self, problem: Problem, products: Collection[int] | None = None) -> None:
        """An empty table; ``products`` are the times that multiply matrices (``products_of``), None if not known."""
        self.problem = problem
        self._products = products
        self._observed: list[dict[int, float]] = [{} for _ in problem.instructions]
        self._kinds: list[_Kind | None] | None = None
        self._looks: dict[object, list[int]] = {}
        for time, instruction in enumerate(problem.instructions):
            if not instruction.free:
                self._looks.setdefault(look(problem, time), []).append(time)

    def observe(self, masks: Sequence[int], cycles: Sequence[float | None]) -> None:
        """Add a compile: for each time its mask and the emitter's cycles, None where the compile has none.

        Raises:
            ValueError: not one of each for each time.
        """
        if not len(masks) == len(cycles) == len(self._observed):
            raise ValueError("one mask and one number of cycles for each time of the problem")
        for time, (mask, count) in enumerate(zip(masks, cycles, strict=True)):
            instruction = self.problem.instructions[time]
            if count is not None and not (instruction.free or instruction.link_seconds):
                self._observed[time].setdefault(mask, float(count))
        self._kinds = None

    def cycles(self, time: int, mask: int) -> float | None:
        """Predicted cycles; None where no compile had any for this instruction."""
        kind = self._all_kinds()[time]
        return None if kind is None else kind.cycles(mask)

    def of_plan(self, plan: Plan) -> list[float | None]:
        """For each time the predicted cycles of a plan."""
        return [self.cycles(time, mask) for time, mask in enumerate(plan_masks(self.problem, plan))]

    def arrays(self) -> TableArrays:
        """The table as it is now."""
        sites = [len(site_cycles(self.problem, time)) for time in range(len(self._observed))]
        kinds = self._all_kinds()
        weights = [np.zeros(sites[time]) if kind is None else kind.fit.weights for time, kind in enumerate(kinds)]
        known = [{} if kind is None else kind.observed for kind in kinds]
        return TableArrays(
            first_site=_firsts(sites),
            weights=np.concatenate([*weights, np.zeros(0)]),
            first_observation=_firsts([len(observed) for observed in known]),
            masks=np.array([mask for observed in known for mask in observed], dtype=np.int64),
            cycles=np.array([count for observed in known for count in observed.values()], dtype=np.float64),
            floors=np.array([0.0 if kind is None else kind.fit.floor for kind in kinds], dtype=np.float64),
        )

    def _all_kinds(self) -> list[_Kind | None]:
        """For each time its kind; None for those without observation."""
        if self._kinds is None:
            self._kinds = [None] * len(self._observed)
            for times in self._looks.values():
                known = [time for time in times if self._observed[time]]
                for members in alike(known, self._observed):
                    kind = self._kind(members)
                    for time in members:
                        self._kinds[time] = kind
        return self._kinds

    def _kind(self, times: Sequence[int]) -> _Kind:
        observed: dict[int, float] = {}
        for time in times:
            for mask, count in self._observed[time].items():
                observed.setdefault(mask, count)
        product = None if self._products is None else times[0] in self._products
        return _Kind(observed, fit(self.problem, times[0], observed, product))


def _sum(weights: NDArray[np.float64], mask: int) -> float:
    return float(sum(weight for bit, weight in enumerate(weights) if mask >> bit & 1))


def _firsts(counts: list[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
