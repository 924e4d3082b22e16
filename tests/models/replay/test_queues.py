"""Two queues over one HBM, against numbers computed by hand and a simulation in small steps."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mallocgame.models.replay.queues import Queues
from mallocgame.plan.plan import CopyKind


def test_one_queue_is_first_in_first_out() -> None:
    queues = Queues()
    queues.start("a", "prefetch", 3.0)
    queues.start("b", "prefetch", 2.0)
    queues.start("c", "prefetch", 4.0)
    assert queues.drain(1.0) == 0.0
    assert queues.wait("b") == 4.0  # 2 left of a, then all of b
    assert queues.wait("a") == 0.0
    assert queues.drain(5.0) == 1.0
    assert queues.wait("c") == 0.0
    assert queues.drain(7.0) == 7.0


def test_two_queues_share_the_bandwidth_while_both_are_busy() -> None:
    queues = Queues()
    queues.start("in", "prefetch", 2.0)
    queues.start("out", "eviction", 5.0)
    assert queues.drain(2.0) == 0.0  # 1 each
    assert queues.wait("in") == 2.0  # 1 left at half bandwidth
    assert queues.wait("out") == 3.0  # 5 - 1 - 1 left, alone
    queues.start("in", "prefetch", 4.0)
    queues.start("out", "eviction", 1.0)
    assert queues.wait("in") == 5.0  # 2 shared, then 3 alone


def test_the_share_stays_a_half_however_many_copies_there_are() -> None:
    queues = Queues()
    for number in range(3):
        queues.start(("in", number), "prefetch", 1.0)
        queues.start(("out", number), "eviction", 1.0)
    assert queues.drain(6.0) == 0.0
    assert queues.wait_all() == 0.0


def test_wait_all_empties_both_queues() -> None:
    queues = Queues()
    queues.start("a", "prefetch", 1.0)
    queues.start("b", "eviction", 3.0)
    assert queues.wait_all() == 4.0
    assert queues.wait_all() == 0.0


def test_an_empty_copy_takes_no_time() -> None:
    queues = Queues()
    queues.start("a", "prefetch", 0.0)
    assert queues.wait("a") == 0.0
    queues.start("b", "eviction", 0.0)
    assert queues.drain(1.0) == 1.0


def _tick(prefetches: list[Fraction], evictions: list[Fraction], step: Fraction) -> None:
    busy = [queue for queue in (prefetches, evictions) if queue]
    for queue in busy:
        queue[0] -= step / len(busy)
        if queue[0] <= 0:
            queue.pop(0)


@given(
    prefetches=st.lists(st.integers(1, 4), max_size=4),
    evictions=st.lists(st.integers(1, 4), max_size=4),
    idle=st.integers(0, 20),
)
def test_draining_agrees_with_small_steps(prefetches: list[int], evictions: list[int], idle: int) -> None:
    """Steps of a quarter are exact: demands are whole, and half of the bandwidth moves an eighth a step."""
    queues = Queues()
    kinds: tuple[CopyKind, CopyKind] = ("prefetch", "eviction")
    for kind, demands in zip(kinds, (prefetches, evictions), strict=True):
        for number, demand in enumerate(demands):
            queues.start((kind, number), kind, float(demand))
    left = [Fraction(demand) for demand in prefetches], [Fraction(demand) for demand in evictions]
    used = Fraction(0)
    while used < idle and any(left):
        _tick(*left, Fraction(1, 4))
        used += Fraction(1, 4)
    assert queues.drain(float(idle)) == pytest.approx(float(idle - used))
    assert queues.wait_all() == pytest.approx(float(sum(left[0]) + sum(left[1])))
