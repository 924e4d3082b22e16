"""The most valuable buffers that fit, against a choice of all subsets."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.packing import Buffer, fit_most, pack, validate
from mallocgame.system.errors import BadInputError

CAPACITY = 10


@st.composite
def buffers_and_values(draw: st.DrawFn) -> tuple[list[Buffer], list[float]]:
    count = draw(st.integers(0, 6))
    buffers = []
    for number in range(count):
        lower = draw(st.integers(0, 5))
        buffers.append(Buffer(str(number), lower, lower + draw(st.integers(1, 4)), draw(st.integers(1, 8))))
    return buffers, [float(draw(st.integers(0, 9))) for _ in buffers]


def least_lost(buffers: list[Buffer], values: list[float]) -> float:
    """Of all subsets that the exact search packs, what the best one leaves out."""
    indices = range(len(buffers))
    return min(
        sum(values) - sum(values[index] for index in chosen)
        for size in range(len(buffers) + 1)
        for chosen in combinations(indices, size)
        if pack([buffers[index] for index in chosen], CAPACITY).status == "feasible"
    )


@settings(max_examples=60, deadline=None)
@given(buffers_and_values())
def test_little_is_left_out(case: tuple[list[Buffer], list[float]]) -> None:
    buffers, values = case
    offsets = fit_most(buffers, values, CAPACITY)
    placed = [(buffer, at) for buffer, at in zip(buffers, offsets, strict=True) if at is not None]
    assert not validate([buffer for buffer, _ in placed], [at for _, at in placed], CAPACITY)
    lost = sum(value for value, at in zip(values, offsets, strict=True) if at is None)
    assert lost == least_lost(buffers, values)


def test_the_more_valuable_of_two_stays() -> None:
    assert fit_most([Buffer("a", 0, 2, 6), Buffer("b", 1, 3, 6)], [1.0, 2.0], CAPACITY) == (None, 0)


def test_a_fixed_buffer_stays_whatever_its_value() -> None:
    buffers = [Buffer("a", 0, 2, 6, offset=2), Buffer("b", 1, 3, 6), Buffer("c", 1, 3, 2)]
    assert fit_most(buffers, [0.0, 9.0, 1.0], CAPACITY) == (2, None, 0)


def test_fixed_buffers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInputError, match="fixed offsets alone do not fit"):
        fit_most([Buffer("a", 0, 2, 6, offset=5)], [1.0], CAPACITY)
