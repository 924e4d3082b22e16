"""The statistics of the probe, by hand and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mallocgame.probe import statistics
from mallocgame.probe.statistics import (
    Interval,
    block_length,
    bouts,
    choose,
    correlation_time,
    interquartile_mean,
    interval,
    judge,
    log_ratios,
    students_quantile,
)


def test_the_fastest_of_each_bout_counts_and_an_unfinished_bout_does_not() -> None:
    seconds = np.array([[5.0, 8.0], [4.0, 9.0], [7.0, 6.0], [3.0, 6.5], [1.0, 1.0]])
    fastest = bouts(seconds, 2)
    assert fastest.tolist() == [[4.0, 8.0], [3.0, 6.0]]
    assert log_ratios(fastest, 1) == pytest.approx([math.log(2), math.log(2)])
    assert bouts(seconds[:1], 2).shape == (0, 2)


def test_interquartile_mean_by_hand() -> None:
    assert interquartile_mean(np.array([100.0, 1.0, 2.0, 3.0, -50.0, 4.0, 5.0, 900.0])) == pytest.approx(3.5)
    assert interquartile_mean(np.array([[1.0, 2.0, 6.0], [3.0, 3.0, 3.0]])).tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    [(0.975, 5, 2.5706), (0.975, 11, 2.2010), (0.95, 10, 1.8125), (0.995, 20, 2.8453), (0.9875, 19, 2.4334)],
)
def test_students_quantiles_are_the_table_s(probability: float, freedom: float, quantile: float) -> None:
    assert students_quantile(probability, freedom) == pytest.approx(quantile, rel=2e-3)


def test_correlation_time_of_an_autoregressive_process() -> None:
    rng = np.random.default_rng(0)
    assert correlation_time(rng.standard_normal(20_000)) == pytest.approx(1.0, abs=0.1)
    assert correlation_time(_autoregressive(rng, 20_000, 0.5)) == pytest.approx(3.0, rel=0.15)  # (1 + r) / (1 - r)
    assert correlation_time(np.ones(50)) == 1.0


def test_blocks_are_never_so_long_that_few_remain_nor_so_short_that_many_do() -> None:
    trend = np.arange(60.0)
    assert block_length(trend) == 10
    assert block_length(np.random.default_rng(0).standard_normal(400)) >= 20


def test_an_interval_of_equal_values_is_the_value() -> None:
    found = interval(np.full(20, math.log(1.03)), 0.95)
    assert (found.ratio, found.low, found.high) == pytest.approx((1.03, 1.03, 1.03))
    assert found.half_width == pytest.approx(0.0, abs=1e-12)


def test_an_interval_does_not_depend_on_which_program_is_the_base() -> None:
    values = np.random.default_rng(3).normal(0.02, 0.01, 40)
    one, other = interval(values, 0.95), interval(-values, 0.95)
    assert other.ratio == pytest.approx(1 / one.ratio)
    assert other.low == pytest.approx(1 / one.high)
    assert other.high == pytest.approx(1 / one.low)


def test_too_few_bouts_have_no_interval() -> None:
    with pytest.raises(ValueError, match="11 values are too few"):
        interval(np.zeros(11), 0.95)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.97, 0.989, "faster"),
        (0.97, 0.991, "cannot tell"),
        (1.009, 1.05, "cannot tell"),
        (1.011, 1.05, "slower"),
        (0.999, 1.001, "cannot tell"),
    ],
)
def test_verdicts(low: float, high: float, verdict: str) -> None:
    assert judge(Interval(math.sqrt(low * high), low, high), 0.01) == verdict


def test_the_choice_is_the_base_unless_something_is_surely_faster() -> None:
    faster, fastest, unsure = Interval(0.9, 0.88, 0.92), Interval(0.8, 0.7, 0.9), Interval(0.5, 0.2, 1.2)
    assert choose([], []) == 0
    assert choose([unsure, None], ["cannot tell", "cannot tell"]) == 0
    assert choose([faster, unsure, fastest], ["faster", "cannot tell", "faster"]) == 3


def _autoregressive(rng: np.random.Generator, count: int, correlation: float) -> np.ndarray:
    """Values of standard deviation 1 whose neighbours correlate so much."""
    noise = rng.standard_normal(count + 50) * math.sqrt(1 - correlation**2)
    values = np.zeros(count + 50)
    for at in range(1, count + 50):
        values[at] = correlation * values[at - 1] + noise[at]
    return values[50:]


@pytest.fixture
def fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulations draw hundreds of intervals."""
    monkeypatch.setattr(statistics, "RESAMPLES", 400)


@pytest.mark.usefixtures("fewer_resamples")
@pytest.mark.parametrize(("correlation", "count", "least"), [(0.0, 24, 0.92), (0.0, 100, 0.92), (0.5, 150, 0.88)])
def test_coverage_of_the_95_percent_interval(correlation: float, count: int, least: float) -> None:
    rng = np.random.default_rng(5)
    found = [interval(math.log(1.03) + 0.01 * _autoregressive(rng, count, correlation), 0.95) for _ in range(300)]
    covered = np.mean([one.low <= 1.03 <= one.high for one in found])
    assert least <= covered <= 0.99


def _machine(rng: np.random.Generator, rounds: int, times: tuple[float, ...]) -> np.ndarray:
    """Samples on a shared machine: slow drift, long spells of a busy neighbour, and hits that add milliseconds."""
    drift = 0.02 * np.cumsum(rng.standard_normal(rounds)) / math.sqrt(rounds)
    busy = np.zeros((rounds, len(times)))
    state = 0.0
    for at in range(rounds):
        for program in range(len(times)):
            state = float(rng.random() < 0.5) if rng.random() < 0.2 else state
            busy[at, program] = state
    noise = 0.01 * rng.standard_normal(busy.shape) + 0.5 * busy
    hits = (rng.random(busy.shape) < 0.3) * rng.exponential(0.01, busy.shape)
    return np.array(times) * np.exp(noise + drift[:, None]) + hits


@pytest.mark.usefixtures("fewer_resamples")
def test_equal_programs_on_a_busy_machine_are_not_called_different_and_3_percent_are_found() -> None:
    rng = np.random.default_rng(7)
    verdicts = []
    for _ in range(60):
        fastest = bouts(_machine(rng, 400, (1e-3, 1e-3, 1.03e-3)), 8)
        verdicts.append(tuple(judge(interval(log_ratios(fastest, program), 0.95), 0.01) for program in (1, 2)))
    assert sum(equal != "cannot tell" for equal, _ in verdicts) <= 1
    assert sum(slower == "slower" for _, slower in verdicts) >= 57
