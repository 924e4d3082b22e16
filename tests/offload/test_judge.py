"""The judge against figures worked out by hand, and each fault that it can name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mallocgame.offload.judge import CAUSES, faults, occupancy, replay
from mallocgame.offload.plan import HostCopy, OffloadPlan, Remake
from mallocgame.offload.problem import OffloadProblem, Recipe, Step, Tensor, check_problem
from mallocgame.offload.rules import run_time
from mallocgame.system.errors import BadInputError
from tests.offload.made_problems import link

STEPS = tuple(Step(f"s{time}", seconds, 1) for time, seconds in enumerate((2.0, 3.0, 3.0, 2.0)))
BIG = Tensor("big", 4, 0, 3, ((0, 3),), Recipe(1.5, ()))
PROBLEM = OffloadProblem("p", "by hand", link(), STEPS, (BIG,))
AWAY_IN_STEP_2 = (HostCopy(0, 0, "to host", 0, 2), HostCopy(0, 0, "from host", 2, 3))


def test_offload_by_hand() -> None:
    plan = OffloadPlan("p", (("offload",),), AWAY_IN_STEP_2)
    assert faults(PROBLEM, plan, 5) == []
    assert occupancy(PROBLEM, plan) == [5, 5, 1, 5]
    # To the host from 2 to 6; step 1 ends at 5, step 2 waits to 6 and ends at 9; back from 9 to 13; step 3 ends at 15.
    judged = replay(PROBLEM, plan)
    assert (judged.seconds, judged.stall, judged.peak, judged.to_host, judged.from_host) == (15.0, 5.0, 5, 4, 4)


@pytest.mark.parametrize(("exposed", "seconds"), [(0.5, 15.0), (1.0, 18.0)])
def test_what_the_compiler_does_not_hide_is_waited_for(exposed: float, seconds: float) -> None:
    # 10 s of steps and 8 s of copies, of which the steps hide 3: half of 8 is waited for anyway, all of it is not.
    problem = replace(PROBLEM, link=link(exposed=exposed))
    judged = replay(problem, PLAN)
    assert (judged.seconds, judged.stall) == (seconds, seconds - 10.0)
    assert run_time(problem, PLAN) == seconds


def test_recompute_by_hand() -> None:
    plan = OffloadPlan("p", (("recompute",),), (), (Remake(0, 3),))
    assert faults(PROBLEM, plan, 5) == []
    assert occupancy(PROBLEM, plan) == [5, 1, 1, 5]
    assert (replay(PROBLEM, plan).seconds, replay(PROBLEM, plan).recompute) == (11.5, 1.5)


def test_both_directions_share_the_link() -> None:
    # One tensor goes to the host while another comes back: 1 + 1 B/s where both may have 1 B/s, so half each.
    tensors = (Tensor("a", 2, 0, 6, ((0, 6),)), Tensor("b", 2, 0, 6, ((3, 6),)))
    steps = tuple(Step(str(time), 2.0, 0) for time in range(7))
    plan = OffloadPlan(
        "p",
        (("offload",), ("offload",)),
        (
            HostCopy(0, 0, "to host", 0, 2),
            HostCopy(0, 0, "from host", 3, 6),
            HostCopy(1, 0, "to host", 3, 5),
            HostCopy(1, 0, "from host", 5, 6),
        ),
    )
    free = OffloadProblem("p", "free", link(both=2.0), steps, tensors)
    shared = replace(free, link=link(both=1.0))
    assert faults(free, plan, 4) == []
    # Both issued at 8. Apart: done at 10; the way back of b from 12 to 14, step 6 from 14 to 16.
    assert replay(free, plan).seconds == 16.0
    # Shared: done at 12 both, step 5 waits for b from 10 to 12, ends at 14; b is back at 16; step 6 ends at 18.
    assert replay(shared, plan).seconds == 18.0


PLAN = OffloadPlan("p", (("offload",),), AWAY_IN_STEP_2)
OUT, BACK = AWAY_IN_STEP_2
WRONG = {
    "other problem": replace(PLAN, fingerprint="q"),
    "illegal move": replace(PLAN, moves=(("offload", "keep"),)),
    "unknown tensor": replace(PLAN, copies=(OUT, BACK, replace(BACK, tensor=1))),
    "copy outside its gap": replace(PLAN, copies=(OUT, replace(BACK, before=4))),
    "missing copy": replace(PLAN, copies=(OUT,)),
    "needless copy": replace(PLAN, moves=(("keep",),)),
    "copies overlap": replace(PLAN, copies=(OUT, replace(BACK, after=1))),
    "queue order": replace(PLAN, copies=(BACK, OUT)),
    "missing recomputation": OffloadPlan("p", (("recompute",),)),
    "needless recomputation": replace(PLAN, remakes=(Remake(0, 3),)),
    "over budget": OffloadPlan("p", (("keep",),)),
}


@pytest.mark.parametrize("cause", WRONG)
def test_each_fault_has_its_cause(cause: str) -> None:
    budget = 4 if cause == "over budget" else 5
    assert cause in {fault.cause for fault in faults(PROBLEM, WRONG[cause], budget)}


def test_what_is_recomputed_finds_its_inputs_and_goes_with_its_kind() -> None:
    steps = tuple(Step(str(time), 1.0, 0) for time in range(6))
    tensors = (Tensor("in", 1, 0, 5, ((1, 5),), Recipe(1.0, ())), Tensor("out", 1, 1, 4, ((1, 4),), Recipe(1.0, (0,))))
    problem = OffloadProblem("p", "two", link(), steps, tensors)
    check_problem(problem)
    moves = (("recompute",), ("recompute",))
    late = OffloadPlan("p", moves, (), (Remake(1, 4), Remake(0, 5)))  # type: ignore[arg-type]
    assert [fault.cause for fault in faults(problem, late, 9)] == ["input away"]
    assert faults(problem, replace(late, remakes=(Remake(0, 4), Remake(1, 4))), 9) == []
    alike = replace(problem, tensors=tuple(replace(tensor, decided_as="both") for tensor in tensors))
    apart = OffloadPlan("p", (("keep",), ("recompute",)), (), (Remake(1, 4),))
    assert [fault.cause for fault in faults(alike, apart, 9)] == ["not decided together"]
    assert faults(problem, apart, 9) == []
    tested = {*WRONG, "input away", "not decided together"}
    assert tested == set(CAUSES)


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (replace(BIG, last=4), "lives from 0 to 4 of 4 steps"),
        (replace(BIG, gaps=((0, 1),)), "the gap from 0 to 1"),
        (replace(BIG, gaps=((0, 2), (1, 3))), "the gap from 1 to 3"),
        (replace(BIG, recipe=Recipe(-1.0, ())), "a recipe needs one gap and a time"),
        (replace(BIG, recipe=Recipe(1.0, (0,))), "reads tensor 0, which is not before it"),
    ],
)
def test_a_problem_that_does_not_hold_together_is_refused(tensor: Tensor, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        check_problem(replace(PROBLEM, tensors=(tensor,)))
