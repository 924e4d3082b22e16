"""Model E's table as flat arrays by slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from mallocgame.problem.schema import Problem

if TYPE_CHECKING:
    from mallocgame.models.cycles.table import CycleTable, TableArrays


class Emitter(NamedTuple):
    """What cycles are predicted from; N slots, S sites, O observations.

    Attributes:
        weight: ``[S]`` cycles that a site saves by being fast.
        seen_first: ``[N + 1]`` observations of each slot.
        seen_mask: ``[O]`` placement masks.
        seen_cycles: ``[O]``.
        floor: ``[N]`` cycles that no prediction falls below.
    """

    weight: npt.NDArray[np.float64]
    seen_first: npt.NDArray[np.int64]
    seen_mask: npt.NDArray[np.int64]
    seen_cycles: npt.NDArray[np.float64]
    floor: npt.NDArray[np.float64]


def emitter_arrays(problem: Problem, time_of: Sequence[int], cycles: CycleTable | None) -> Emitter:
    """The table by slot.

    Args:
        problem: what it is of.
        time_of: the time of each slot.
        cycles: the table; None for the cycles of XLA's default placement whatever the placement.
    """
    if cycles is None:
        return _constant(problem, time_of)
    arrays = cycles.arrays()
    seen = _permuted(arrays.first_observation, time_of)
    lengths = np.diff(arrays.first_observation)[list(time_of)]
    weights = [_weights(problem, time, arrays) for time in time_of]
    return Emitter(
        weight=np.concatenate([np.zeros(0), *weights]),
        seen_first=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        seen_mask=arrays.masks[seen],
        seen_cycles=arrays.cycles[seen],
        floor=arrays.floors[list(time_of)],
    )


def _weights(problem: Problem, time: int, arrays: TableArrays) -> npt.NDArray[np.float64]:
    """Of all sites of a time; 0 for those without a bit."""
    weights = np.zeros(len(problem.uses_at[time]) + len(problem.definitions_at[time]), np.float64)
    known = arrays.weights[arrays.first_site[time] : arrays.first_site[time + 1]]
    weights[: len(known)] = known
    return weights


def _constant(problem: Problem, time_of: Sequence[int]) -> Emitter:
    known = [problem.instructions[time].cycles for time in time_of]
    seen = np.array([cycles is not None for cycles in known], np.int64)
    sites = sum(len(problem.uses_at[time]) + len(problem.definitions_at[time]) for time in time_of)
    values = np.array([cycles for cycles in known if cycles is not None], np.float64)
    return Emitter(
        weight=np.zeros(sites, np.float64),
        seen_first=np.concatenate([[0], np.cumsum(seen)]).astype(np.int64),
        seen_mask=np.zeros(len(values), np.int64),
        seen_cycles=values,
        floor=np.zeros(len(known), np.float64),
    )


def _permuted(first: npt.NDArray[np.int64], time_of: Sequence[int]) -> npt.NDArray[np.int64]:
    """Positions of the items of each slot's list, slot by slot, in an array that has them time by time."""
    ranges = [np.arange(first[time], first[time + 1]) for time in time_of]
    positions: npt.NDArray[np.int64] = np.concatenate([np.zeros(0, np.int64), *ranges])
    return positions
