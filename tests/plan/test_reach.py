"""How far apart uses are by MSA's estimate, and the reach that tells a placement best, by hand: see ``hand_made``."""

from __future__ import annotations

import pytest

from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.reach import Gaps, fitting_reach, is_far
from mallocgame.problem.schema import Computation, Problem
from tests.game.hand_made import Step, problem


def weights() -> Problem:
    """Three weights, each read twice: v 2 us apart, w 18 us, x 38 us; copying all of the memory takes 1 us."""
    steps = [
        *(Step(opcode="parameter", makes=name) for name in "vwx"),
        Step(1.0, reads=("v",)),
        Step(2.0, reads=("x",)),
        Step(2.0, reads=("v",)),
        Step(2.0, reads=("w",)),
        Step(18.0),
        Step(2.0, reads=("w",)),
        Step(14.0),
        Step(1.0, reads=("x",)),
    ]
    return problem(steps, dict.fromkeys("vwx", 1000), fast_bytes=1000)


TIMES = {0: (3, 5), 1: (6, 8), 2: (4, 10)}


def placement(*again: int) -> Plan:
    """All uses are fast, the second ones of the weights ``again`` by a copy of their own."""
    stays, copies = [], []
    for id, (first, second) in TIMES.items():
        copies.append(Copy(id, "prefetch", first - 1, first))
        stays.append(Stay(id, first, first if id in again else second, 0))
        if id in again:
            copies.append(Copy(id, "prefetch", second - 1, second))
            stays.append(Stay(id, second, second, 0))
    uses = frozenset((id, number) for id in TIMES for number in range(2))
    return Plan(
        "hand made", frozenset(), uses, tuple(sorted(stays)), tuple(sorted(copies, key=lambda copy: copy.after))
    )


def test_gaps_are_what_the_instructions_between_take_in_hbm() -> None:
    gaps = Gaps(weights())
    assert [gaps.share(*TIMES[id]) for id in range(3)] == pytest.approx([2.0, 18.0, 38.0])
    assert [is_far(gaps, reach, *TIMES[1]) for reach in (None, 18.1, 17.9)] == [False, False, True]


@pytest.mark.parametrize(
    ("again", "reach"),
    [
        ((), None),
        ((2,), (18 * 38) ** 0.5),
        ((1, 2), (2 * 18) ** 0.5),
        ((0, 1, 2), 2 / 1.1),
        ((0,), None),  # beyond a reach of less than 2 would be two more
        ((0, 2), (18 * 38) ** 0.5),  # one of the two
    ],
)
def test_the_reach_that_tells_most_of_a_placement(again: tuple[int, ...], reach: float | None) -> None:
    assert fitting_reach(weights(), placement(*again)) == (None if reach is None else pytest.approx(reach))


def test_a_program_with_calls_has_no_reach() -> None:
    steps = [
        Step(opcode="parameter", makes="w"),
        Step(reads=("w",)),
        Step(1.0, computation=1),
        Step(opcode="while"),
        Step(reads=("w",)),
    ]
    computations = (Computation("main", 0, 4, "entry", None, 1), Computation("body", 2, 2, "body", 3, 4))
    of = problem(steps, {"w": 1000}, computations=computations)
    plan = Plan("hand made", frozenset(), frozenset({(0, 0), (0, 1)}), (Stay(0, 1, 1, 0), Stay(0, 4, 4, 0)))
    assert fitting_reach(of, plan) is None
