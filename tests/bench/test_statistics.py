"""Means, intervals, counts and answers of made-up rows."""

from __future__ import annotations

import math

import pytest

from mallocgame.bench.statistics import Counts, answer, count, geometric_mean, kinds, ratios
from tests.bench.made_rows import failed, row


def test_ratios_are_default_over_row() -> None:
    assert ratios(row("a", "local", 1.25, 0.5)) == pytest.approx((1.25, 0.5))
    assert ratios(failed("a", "local", "no")) is None
    assert ratios(row("a", "local", e_seconds=0.0)) is None


def test_geometric_mean_by_hand() -> None:
    assert geometric_mean([2.0, 8.0]).mean == pytest.approx(4.0)
    assert geometric_mean([0.5, 2.0, 1.0]).mean == pytest.approx(1.0)


def test_interval_of_equal_or_single_values_is_a_point() -> None:
    for values in ([1.5], [1.5] * 7):
        found = geometric_mean(values)
        assert (found.mean, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))


def test_interval_of_two_values_reaches_from_one_to_the_other() -> None:
    # A quarter of the resamples draws the same value twice, which is more than 2.5 % at each end.
    found = geometric_mean([1.0, 4.0])
    assert (found.low, found.mean, found.high) == pytest.approx((1.0, 2.0, 4.0))


def test_interval_agrees_with_the_normal_approximation() -> None:
    values = [math.exp(0.1 * math.sin(number)) for number in range(200)]
    logs = [math.log(value) for value in values]
    mean = sum(logs) / len(logs)
    error = math.sqrt(sum((log - mean) ** 2 for log in logs)) / len(logs)
    found = geometric_mean(values)
    assert math.log(found.low) == pytest.approx(mean - 1.96 * error, abs=0.1 * error)
    assert math.log(found.high) == pytest.approx(mean + 1.96 * error, abs=0.1 * error)


def test_intervals_depend_on_the_seed_alone() -> None:
    values = [1.0, 1.1, 1.3, 0.9, 1.05]
    assert geometric_mean(values, seed=1) == geometric_mean(values, seed=1)
    assert geometric_mean(values, seed=1) != geometric_mean(values, seed=2)


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [-1.0]])
def test_no_mean_of_nothing_or_of_what_is_not_positive(values: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        geometric_mean(values)


def test_counts_of_verdicts_and_kinds() -> None:
    rows = [
        row("a", "local", 1.1, 1.1),
        row("b", "local"),
        row("c", "local", 0.9),
        row("d", "local", 1.1, 0.98, kind="split"),
        failed("e", "local", "no"),
    ]
    assert count(rows) == Counts(better=1, better_under_e=1, equal=1, worse=1, failed=1)
    assert count(rows, strict=True) == Counts(better=1, better_under_e=0, equal=1, worse=2, failed=1)
    assert list(kinds(rows).items()) == [("plan", 3), ("split", 1)]


def test_the_answer_is_the_best_and_never_worse_than_the_default() -> None:
    default, off = row("a", "xla default"), row("a", "msa off", 1.05, 1.05)
    tuned = row("a", "flag tuning", 1.5, 1.5)
    plan, worse = row("a", "local", 1.1, 1.1), row("a", "local", 3.0, 0.9)
    assert answer([default, off, tuned, plan]) is plan
    assert answer([default, off, tuned, worse]) is off
    assert answer([default, tuned, worse, failed("a", "msa off", "no")]) is default
    assert answer([failed("a", "xla default", "no"), plan]) is None


def test_strictly_another_split_that_loses_is_no_answer() -> None:
    default, split = row("a", "xla default"), row("a", "hbm", 1.2, 0.98, kind="split")
    assert answer([default, split]) is split
    assert answer([default, split], strict=True) is default
