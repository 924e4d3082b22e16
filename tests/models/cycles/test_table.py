"""The table of cycles against numbers worked out by hand."""

from dataclasses import replace

import pytest

from mallocgame.models.cycles.sites import plan_masks, plan_of_masks, sites_of
from mallocgame.models.cycles.table import CycleTable
from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from tests.models.replay.problems import straight


def one_matmul(compute: float = 0.0, fast_space: int = 1) -> Problem:
    """Time 2 reads x (30 bytes, bit 0) and w (10 bytes, bit 1) and writes y (20 bytes, bit 2); a byte is 2 cycles."""
    made = straight()
    made.parameter("x", 30)
    made.parameter("w", 10)
    made.add("y", reads={"x": 30.0, "w": 10.0}, writes=20.0, compute=compute)
    built = made.build()
    return replace(built, target=replace(built.target, fast_space=fast_space))


def table_of(*observations: tuple[int, float], problem: Problem | None = None) -> CycleTable:
    """What these cycles at these masks of time 2 teach."""
    table = CycleTable(problem or one_matmul())
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


def test_what_is_expected_is_corrected_by_bytes() -> None:
    """Expected are 60 / 2, 20 / 2 and 40 cycles, in all 80; 60 were seen, so 20 less, by 60 : 20 : 40."""
    table = table_of((0b111, 40.0), (0b000, 100.0))
    assert table.arrays().weights[2:].tolist() == pytest.approx([20.0, 20 / 3, 100 / 3], rel=1e-3)
    assert table.cycles(2, 0b001) == pytest.approx(80.0, rel=1e-3)
    assert table.cycles(2, 0b110) == pytest.approx(60.0, rel=1e-3)


def test_a_difference_in_one_site_is_that_sites_weight() -> None:
    table = table_of((0b000, 100.0), (0b001, 100.0), (0b101, 75.0))
    assert table.cycles(2, 0b100) == pytest.approx(75.0, rel=1e-2)


def test_the_nearest_observation_is_the_base() -> None:
    """From 0b101 only bit 1 differs; from 0b000 three bits do."""
    table = table_of((0b000, 100.0), (0b101, 60.0))
    assert table.cycles(2, 0b111) == pytest.approx(60.0 - table.arrays().weights[3])


def test_no_prediction_is_below_the_floor() -> None:
    """The least observation, or the compute time: 30 s are 60 cycles."""
    assert table_of((0b001, 70.0), (0b000, 80.0), problem=one_matmul(compute=30.0)).cycles(2, 0b111) == 60.0


def test_an_output_may_be_slower_in_fast_memory_of_its_own() -> None:
    """CMEM targets only: there a fused loop's output goes through VMEM first."""
    observed = ((0b000, 100.0), (0b100, 130.0))
    assert table_of(*observed, problem=one_matmul(fast_space=3)).arrays().weights[4] == pytest.approx(-30.0, rel=1e-2)
    assert table_of(*observed).arrays().weights[4] == pytest.approx(0.4)


def test_operands_matter_to_matrix_products_alone() -> None:
    """Of 60, 20, 40 cycles over HBM: 1.5 of an operand, or 0.01, or half if it is not known; all of the output."""
    assert expected_weights(frozenset({2})) == [90.0, 30.0, 40.0]
    assert expected_weights(frozenset()) == pytest.approx([0.6, 0.2, 40.0])
    assert expected_weights(None) == [30.0, 10.0, 40.0]


def expected_weights(products: frozenset[int] | None) -> list[float]:
    """Of time 2, from one observation."""
    table = CycleTable(one_matmul(), products)
    table.observe([0, 0, 0], [None, None, 180.0])
    return table.arrays().weights[2:].tolist()


def test_a_copy_is_the_sum_of_its_sides() -> None:
    made = straight()
    made.parameter("x", 10)
    made.add("y", reads={"x": 10.0}, writes=10.0, opcode="copy")
    table = CycleTable(made.build())
    table.observe([0, 0], [None, 200.0])
    assert table.arrays().weights[1:].tolist() == pytest.approx([97.0, 97.0])


def test_arrays_are_the_table() -> None:
    arrays = table_of((0b111, 40.0), (0b000, 100.0)).arrays()
    assert arrays.first_site.tolist() == [0, 1, 2, 5]
    assert arrays.first_observation.tolist() == [0, 0, 0, 2]
    assert arrays.masks.tolist() == [0b111, 0b000]
    assert arrays.cycles.tolist() == [40.0, 100.0]


def layers() -> CycleTable:
    """Times 2 and 3 look the same: both read x and write as much."""
    made = straight()
    made.parameter("x", 30)
    made.parameter("w", 30)
    made.add("y", reads={"x": 30.0}, writes=20.0)
    made.add("z", reads={"w": 30.0}, writes=20.0)
    return CycleTable(made.build())


def test_instructions_that_are_alike_share_their_observations() -> None:
    table = layers()
    table.observe([0, 0, 0b00, 0b01], [None, None, 100.0, 70.0])
    assert table.cycles(2, 0b01) == 70.0
    assert table.cycles(3, 0b00) == 100.0


def test_an_observation_that_contradicts_parts_them() -> None:
    table = layers()
    table.observe([0, 0, 0b00, 0b00], [None, None, 100.0, 110.0])
    table.observe([0, 0, 0b01, 0b10], [None, None, 70.0, 90.0])
    assert table.cycles(2, 0b00) == 100.0
    assert table.cycles(3, 0b00) == 110.0
    assert table.arrays().first_observation.tolist() == [0, 0, 0, 2, 4]


def test_masks_of_a_plan() -> None:
    plan = Plan("f", fast_definitions=frozenset({2}), fast_uses=frozenset({(1, 0)}))
    assert plan_masks(one_matmul(), plan) == [0, 0, 0b110]
    assert plan_of_masks(one_matmul(), [0, 0, 0b110]) == plan


def test_a_plan_is_replayed_with_the_cycles_of_its_placement() -> None:
    """A cycle is 0.5 s; from everything in HBM, 60 s of it, w fast leaves 50 s and y fast 40 s."""
    table = table_of((0b000, 400.0), (0b010, 380.0), (0b100, 300.0))
    problem = one_matmul()
    assert replay_plan(problem, Plan("f"), "E", table).total == 200.0
    assert replay_plan(problem, Plan("f", fast_uses=frozenset({(1, 0)})), "E", table).total == 190.0
    assert replay_plan(problem, Plan("f", fast_definitions=frozenset({2})), "E", table).total == 150.0
    assert replay_plan(problem, Plan("f"), "E", CycleTable(problem)).total == replay_plan(problem, Plan("f"), "M").total
