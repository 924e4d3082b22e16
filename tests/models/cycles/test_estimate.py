"""Cycles of a schedule alone: by hand, and what the table makes of them for other placements."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mallocgame.models.cycles.estimate import estimated_cycles, estimated_table
from mallocgame.models.cycles.weights import CMEM, VMEM
from mallocgame.problem.schema import Problem
from tests.game.hand_made import Step, problem


def _task(space: int) -> Problem:
    """A product, a copy and an element-wise fusion, each of which reads and writes 1000 bytes: 1 us of HBM each."""
    steps = [
        Step(opcode="parameter", makes="x"),
        Step(compute_us=3.0, makes="product", reads=("x",)),
        Step(compute_us=0.01, makes="moved", reads=("product",), opcode="fusion"),
        Step(compute_us=0.5, makes="other", reads=("moved",)),
        Step(opcode="tuple", reads=("other",)),
    ]
    made = problem(steps, dict.fromkeys(("x", "product", "moved", "other"), 1000), fast_bytes=4096)
    copied = replace(made.instructions[2], opcode="copy")
    instructions = (*made.instructions[:2], copied, *made.instructions[3:])
    target = replace(made.target, fast_space=space, min_seconds=1e-9)  # 1000 cycles a microsecond
    return replace(made, instructions=instructions, target=target)


@pytest.mark.parametrize(
    ("space", "product", "copy", "other"),
    [
        (VMEM, 3000 + 1400 + 1600 + 300, 3800 + 3400 + 300, 500 + 2600 + 800 + 1300),
        (CMEM, 2550 + 1200 + 1400 + 1200, 2400 + 2500 + 300, 500 + 2600 + 600),
    ],
)
def test_everything_in_hbm(space: int, product: float, copy: float, other: float) -> None:
    cycles = estimated_cycles(_task(space), {1})
    assert cycles == [None, pytest.approx(product), pytest.approx(copy), pytest.approx(other), None]


def test_a_window_makes_an_operand_worth_less_than_m_has_it() -> None:
    """Of a loop fusion only the output saves cycles; of a product both do, of a copy nearly all is transfers."""
    table = estimated_table(_task(VMEM), {1})
    whole = [table.cycles(time, 0) for time in (1, 2, 3)]
    operand = [table.cycles(time, 1) for time in (1, 2, 3)]
    assert whole[0] is not None
    assert operand[0] == pytest.approx(whole[0] - 1500)
    assert whole[2] is not None
    assert operand[2] == pytest.approx(whole[2] - 10)  # 1 % of the 1000 cycles: of equals the one that moves less
    assert table.cycles(3, 2) == pytest.approx(whole[2] - 1000)
