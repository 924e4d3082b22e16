"""The table of cycles against numbers worked out by hand."""

import pytest

from mallocgame.calibration import CycleTable, plan_masks, sites_of
from mallocgame.plan import Plan
from mallocgame.problem.schema import Problem
from tests.replay.problems import straight


def one_matmul() -> Problem:
    """Time 2 reads x (30 bytes, bit 0) and w (10 bytes, bit 1) and writes y (20 bytes, bit 2)."""
    made = straight()
    made.parameter("x", 30)
    made.parameter("w", 10)
    made.add("y", reads={"x": 30.0, "w": 10.0}, writes=20.0)
    return made.build()


def table_of(*observations: tuple[int, float]) -> CycleTable:
    table = CycleTable(one_matmul())
    for mask, cycles in observations:
        table.observe([0, 0, mask], [None, None, cycles])
    return table


def test_sites_are_uses_then_definitions() -> None:
    assert sites_of(one_matmul(), 2) == ((0, 0), (1, 0), (2, -1))


def test_nothing_is_known_without_an_observation() -> None:
    table = CycleTable(one_matmul())
    assert table.cycles(2, 0) is None
    assert table.arrays().first_observation.tolist() == [0, 0, 0, 0]


def test_an_observation_is_its_own_prediction() -> None:
    table = table_of((0b111, 40.0), (0b000, 100.0))
    assert table.cycles(2, 0b111) == 40.0
    assert table.cycles(2, 0b000) == 100.0


def test_two_observations_share_the_difference_by_bytes() -> None:
    """60 cycles over 30 + 10 + 20 bytes: one cycle a byte."""
    table = table_of((0b111, 40.0), (0b000, 100.0))
    assert table.cycles(2, 0b001) == pytest.approx(70.0, rel=1e-4)
    assert table.cycles(2, 0b110) == pytest.approx(70.0, rel=1e-4)
    assert table.cycles(2, 0b011) == pytest.approx(60.0, rel=1e-4)


def test_a_difference_in_one_site_is_that_sites_weight() -> None:
    table = table_of((0b000, 100.0), (0b001, 100.0), (0b101, 75.0))
    assert table.cycles(2, 0b100) == pytest.approx(75.0, rel=1e-3)


def test_no_prediction_is_below_the_floor() -> None:
    table = table_of((0b001, 70.0), (0b100, 80.0), (0b000, 100.0))
    assert table.cycles(2, 0b101) == 70.0


def test_arrays_are_the_table() -> None:
    arrays = table_of((0b111, 40.0), (0b000, 100.0)).arrays()
    assert arrays.first_site.tolist() == [0, 1, 2, 5]
    assert arrays.weights[2:].tolist() == pytest.approx([30.0, 10.0, 20.0], rel=1e-4)
    assert arrays.masks.tolist() == [0b111, 0b000]
    assert arrays.cycles.tolist() == [40.0, 100.0]
    assert arrays.floors.tolist() == [0.0, 0.0, 40.0]


def test_masks_of_a_plan() -> None:
    plan = Plan("f", fast_definitions=frozenset({2}), fast_uses=frozenset({(1, 0)}))
    assert plan_masks(one_matmul(), plan) == [0, 0, 0b110]
