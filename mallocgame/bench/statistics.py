"""What the rows of many programs say together: geometric means with intervals, counts, and the answers.

A ratio is XLA's default divided by the row: above 1 is faster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mallocgame.bench.rows import FLAG_TUNING, XLA_DEFAULT, BenchRow
from mallocgame.plan.verdict import MIN_HEADROOM, WINS, Kind, strictly

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its bootstrap interval.

    Attributes:
        mean: geometric or arithmetic.
        low: lower end.
        high: upper end.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows have which verdict; those without figures are failed."""

    better: int
    better_under_e: int
    equal: int
    worse: int
    failed: int


def ratios(row: BenchRow) -> tuple[float, float] | None:
    """Default / row under E and under M; None where there are no figures, or one of them is 0 s."""
    if not (row.e_seconds and row.m_seconds and row.default_e and row.default_m):
        return None
    return row.default_e / row.e_seconds, row.default_m / row.m_seconds


def closed(row: BenchRow) -> float | None:
    """Share of the proven headroom under M that a row closes, within its own memory split: game.md's *closed*.

    None where there is no proven bound, or less headroom than ``MIN_HEADROOM``.
    """
    return None if row.m_seconds is None else _share(row, row.m_seconds)


def least_m(row: BenchRow) -> tuple[float, float] | None:
    """Of the program of least M that was confirmed at the row's memory split, whatever its E.

    Returns:
        The share of the headroom that it closes, and how far the proven bound is below it, as a share of its M; None as
        for ``closed``.
    """
    if row.m_seconds is None or row.proven_m is None:
        return None
    mine = [program.m_seconds for program in row.programs if program.scoped_vmem_kib == row.scoped_vmem_kib]
    least = min([row.m_seconds, *(seconds for seconds in mine if seconds is not None)])
    share = _share(row, least)
    return None if share is None else (share, 1 - row.proven_m / least)


def _share(row: BenchRow, m_seconds: float) -> float | None:
    if row.split_m is None or row.proven_m is None:
        return None
    headroom = row.split_m - row.proven_m
    return (row.split_m - m_seconds) / headroom if headroom >= MIN_HEADROOM * row.split_m else None


def geometric_mean(values: Sequence[float], seed: int = 0) -> Interval:
    """Geometric mean of positive numbers with the percentile bootstrap's 95 % interval.

    Args:
        values: at least one.
        seed: of the 10,000 resamples.

    Raises:
        ValueError: no values, or one that is not positive.
    """
    if not values or min(values) <= 0:
        raise ValueError("a geometric mean needs positive values")
    logs = arithmetic_mean(np.log(np.asarray(values, dtype=np.float64)).tolist(), seed)
    return Interval(float(np.exp(logs.mean)), float(np.exp(logs.low)), float(np.exp(logs.high)))


def arithmetic_mean(values: Sequence[float], seed: int = 0) -> Interval:
    """Mean with the percentile bootstrap's 95 % interval.

    Args:
        values: at least one.
        seed: of the 10,000 resamples.
    """
    array = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(len(array), size=(RESAMPLES, len(array)))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(array[drawn].mean(axis=1), [tail, 1 - tail])
    return Interval(float(array.mean()), float(low), float(high))


def count(rows: Iterable[BenchRow], strict: bool = False) -> Counts:
    """Verdicts of rows, by game.md's rule or the strict one."""
    found = Counter(strictly(row.verdict) if strict else row.verdict for row in rows)
    worse = found["worse"] + found["cannot tell"]
    return Counts(found["better"], found["better under E"], found["equal"], worse, found[None])


def kinds(rows: Iterable[BenchRow]) -> dict[Kind, int]:
    """How many rows are of which kind, plans first, those that do not occur left out."""
    found = Counter(row.kind for row in rows)
    order: tuple[Kind, ...] = ("plan", "soft plan", "split", "global flags", "msa off", "xla default")
    return {kind: found[kind] for kind in order if found[kind]}


def answer(rows: Sequence[BenchRow], strict: bool = False) -> BenchRow | None:
    """What a user would get for one program: the best of XLA's default, MSA off and the solvers' rows.

    Of those that are better than XLA's default, the one with the least product of E and M; else XLA's default, so it is
    never worse. Flag tuning is what this is compared with, and so left out.

    Args:
        rows: of one workload, target and seed, one for each method.
        strict: whether another split may not lose under M.

    Returns:
        The row; None where XLA's default has no figures.
    """
    default = next((row for row in rows if row.method == XLA_DEFAULT and row.failure is None), None)
    if default is None:
        return None
    better = [
        row for row in rows if row.method != FLAG_TUNING and (strictly(row.verdict) if strict else row.verdict) in WINS
    ]
    return min(better, key=_product, default=default)


def _product(row: BenchRow) -> float:
    return (row.e_seconds or 0.0) * (row.m_seconds or 0.0)
