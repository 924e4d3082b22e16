"""Whether one program is faster than another: ratios of bouts, their block bootstrap, the verdict. Pure functions.

Why bouts, and why so: docs/probe.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["faster", "slower", "cannot tell"]
Array = NDArray[np.float64]

LEVEL = 0.95
"""Of all intervals of a probe together: each of k comparisons gets 1 - 0.05 / k (Bonferroni)."""

RESAMPLES = 2000
MIN_BOUTS = 12
"""With fewer there is no interval and no verdict."""

MIN_BLOCKS = 6
"""Blocks that a bootstrap needs at least; a longer autocorrelation is cut there."""

MAX_BLOCKS = 20
"""And at most: few long blocks keep the interval honest where a correlation is longer than it looks."""

DROPPED = 0.25
"""Share of the bouts that the interquartile mean leaves out at either end."""


@dataclass(frozen=True, slots=True)
class Interval:
    """How long one program takes as a share of another: below 1 is faster.

    Attributes:
        ratio: the estimate.
        low: lower end.
        high: upper end.
    """

    ratio: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the interval's length, in logarithms: about the share by which the ratio is uncertain."""
        return math.log(self.high / self.low) / 2


def bouts(seconds: Array, rounds: int) -> Array:
    """The fastest sample of each program in each bout of so many consecutive rounds; an unfinished bout is left out.

    Args:
        seconds: ``[rounds measured, programs]``.
        rounds: of a bout.

    Returns:
        ``[bouts, programs]``, seconds.
    """
    whole = len(seconds) // rounds
    fastest: Array = seconds[: whole * rounds].reshape(whole, rounds, seconds.shape[1]).min(axis=1)
    return fastest


def log_ratios(fastest: Array, program: int, base: int = 0) -> Array:
    """``[bouts]``: log(time of ``program`` / time of ``base``) in each bout."""
    ratios: Array = np.log(fastest[:, program] / fastest[:, base])
    return ratios


def interquartile_mean(values: Array) -> NDArray[np.float64]:
    """Mean along the last axis of what is left without the lowest and the highest quarter."""
    count = values.shape[-1]
    cut = int(count * DROPPED)
    ordered = np.sort(values, axis=-1)
    middle: Array = ordered[..., cut : count - cut].mean(axis=-1)
    return middle


def correlation_time(values: Array) -> float:
    """How many values count as one independent value, at least 1: 1 + 2 x the sum of the autocorrelations.

    Outliers are moved to the 10th and 90th percentile first. The sum ends at the first lag that is five times the time
    that it gives (Sokal's window).
    """
    low, high = np.quantile(values, [0.1, 0.9])
    centred = np.clip(values, low, high)
    centred = centred - centred.mean()
    power = float(centred @ centred)
    if power == 0:
        return 1.0
    time = 1.0
    for lag in range(1, len(values) // 2):
        time += 2 * float(centred[:-lag] @ centred[lag:]) / power
        if lag >= 5 * time:
            break
    return max(1.0, time)


def block_length(values: Array) -> int:
    """Values that a block of the bootstrap has: about four correlation times, and at most ``MAX_BLOCKS`` blocks."""
    count = len(values)
    wanted = max(4 * correlation_time(values) - 3, count / MAX_BLOCKS)
    return max(1, min(math.ceil(wanted), count // MIN_BLOCKS))


def interval(values: Array, level: float, seed: int = 0) -> Interval:
    """The ratio whose logarithm is the interquartile mean of ``values``, with its circular block bootstrap interval.

    The percentile ends are moved away from the estimate by Student's t over the normal quantile, for as many degrees of
    freedom as there are blocks less one.

    Args:
        values: logarithms of ratios in the order of measuring, at least ``MIN_BOUTS``.
        level: e.g. 0.95.
        seed: of the resamples.

    Raises:
        ValueError: fewer values.
    """
    count = len(values)
    if count < MIN_BOUTS:
        raise ValueError(f"{count} values are too few for an interval")
    length = block_length(values)
    blocks = math.ceil(count / length)
    starts = np.random.default_rng(seed).integers(count, size=(RESAMPLES, blocks, 1))
    drawn = ((starts + np.arange(length)) % count).reshape(RESAMPLES, -1)[:, :count]
    tail = (1 - level) / 2
    low, high = np.quantile(interquartile_mean(values[drawn]), [tail, 1 - tail])
    centre = float(interquartile_mean(values))
    factor = students_quantile(1 - tail, count / length - 1) / NormalDist().inv_cdf(1 - tail)
    below, above = (factor * max(0.0, end) for end in (centre - low, high - centre))
    return Interval(math.exp(centre), math.exp(centre - below), math.exp(centre + above))


def students_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t: Abramowitz and Stegun 26.7.5, four terms; to 1 % from 4 degrees of freedom on."""
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def judge(found: Interval, margin: float) -> Verdict:
    """``"faster"`` or ``"slower"`` where the whole interval is more than ``margin`` (a share) away from 1."""
    if found.high < 1 - margin:
        return "faster"
    return "slower" if found.low > 1 + margin else "cannot tell"


def choose(intervals: Sequence[Interval | None], verdicts: Sequence[Verdict]) -> int:
    """Number of the program to use: of those surely faster than the base (number 0) the fastest, else the base.

    Args:
        intervals: of programs 1, 2, ...; None where there is none, and then no verdict either.
        verdicts: likewise.
    """
    faster: Mapping[int, float] = {
        number: found.ratio
        for number, (found, verdict) in enumerate(zip(intervals, verdicts, strict=True), 1)
        if found is not None and verdict == "faster"
    }
    return min(faster, key=faster.__getitem__, default=0)
