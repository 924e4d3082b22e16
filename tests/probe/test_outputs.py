"""Differences of outputs, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mallocgame.probe.outputs import all_finite, difference

ONE = np.array([1.0, -4.0], np.float32)


def test_differences_are_shares_of_the_largest_magnitude() -> None:
    assert difference([ONE], [ONE.copy()]) == 0.0
    assert difference([np.array([1.0, -3.0], np.float32)], [ONE]) == 0.25
    assert difference([ONE, np.array(5)], [ONE, np.array(4)]) == 0.25
    assert difference([np.array([1e-3])], [np.array([0.0])]) == 1.0
    assert difference([np.array([3 + 4j])], [np.array([3 + 0j])]) == pytest.approx(4 / 3)
    assert difference([], []) == 0.0
    assert difference([np.zeros((0, 3))], [np.zeros((0, 3))]) == 0.0


def test_what_cannot_be_compared() -> None:
    assert difference([ONE], [ONE, ONE]) is None
    assert difference([ONE], [ONE.astype(np.float64)]) is None
    assert difference([ONE.reshape(1, 2)], [ONE]) is None
    assert difference([np.array([math.nan, 1.0])], [np.array([1.0, 1.0])]) is None
    assert difference([np.array([math.inf])], [np.array([-math.inf])]) is None
    assert difference([np.array([1e308])], [np.array([-1e308])]) is None


def test_equal_nans_are_equal() -> None:
    assert difference([np.array([math.nan, 1.0])], [np.array([math.nan, 1.5])]) == pytest.approx(1 / 3)


def test_finite() -> None:
    assert all_finite([ONE, np.array([True]), np.zeros(0)])
    assert not all_finite([ONE, np.array([math.inf])])
    assert not all_finite([np.array([complex(0, math.nan)])])
