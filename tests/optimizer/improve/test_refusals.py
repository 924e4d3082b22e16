"""Plans that the compiler refuses: they are cut down until it accepts them."""

from __future__ import annotations

import re

import pytest

from mallocgame.compiler.child import Compiled, Limits, Request
from mallocgame.compiler.export.options import TENSOR_OVERRIDES
from mallocgame.compiler.failures import OverrideRefusedError
from mallocgame.compiler.relax import NO_ROOM
from mallocgame.plan.named_plan import NamedTensor
from mallocgame.plan.plan import Plan
from tests.compiler.text_proto import parse
from tests.optimizer.improve.fake import Fake, improved

TWO = ("copy.11", "copy.13")
"""What the plan pins, one of each of its two groups."""


class RefusingOverrides(Fake):
    """Refuses the override of an instruction at the compiles of these numbers, from 1."""

    def __init__(self, name: str, reason: str, compiles: tuple[int, ...]) -> None:
        super().__init__()
        self.refused = "nothing", 0, name, reason
        self.compiles = compiles

    def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
        done = super().__call__(request, limits)
        if len(self.asked) in self.compiles:
            raise OverrideRefusedError(*self.refused)
        return done


def pinned_by_the_first_plan() -> NamedTensor:
    (wanted,) = (tried.plan for tried in improved(Fake(), compiles=1, without=("splits",)).tried if tried.plan)
    return next(tensor for tensor in wanted.tensors if tensor.fast_definition)


def test_groups_that_are_refused_are_left_in_hbm_and_barred() -> None:
    pinned = pinned_by_the_first_plan()
    refusing = RefusingOverrides(pinned.instruction, "an override that cannot be", compiles=(1,))
    found = improved(refusing, compiles=5, without=("splits",))
    plan = found.tried[1]
    assert plan.plan is not None
    assert (plan.kind, plan.compiles) == ("plan", 2)
    assert not plan.plan.tensors[pinned.id].fast_definition
    assert found.base is not None
    assert pinned.group in found.base.barred
    assert found.base.room == 1.0, "room was not what it lacked"


class Crowded(Fake):
    """Has no room for two groups, and names what is not in the plan."""

    def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
        done = super().__call__(request, limits)
        overrides = parse(request.options.get(TENSOR_OVERRIDES, "")).get("overrides", [])
        patterns = [
            one["hlo_position_matcher"][0]["instruction_name_regex"][0]
            for one in overrides
            if "pin_in_alternate_memory" in one
        ]
        if all(any(re.fullmatch(pattern, name) for pattern in patterns) for name in TWO):
            raise OverrideRefusedError("nothing", 0, "nothing", f"Out of alternate memory / {NO_ROOM} ")
        return done


def test_a_plan_for_which_there_is_no_room_is_cut_down_until_there_is() -> None:
    found = improved(Crowded(), compiles=4, without=("splits",))
    plan = found.tried[1]
    assert (plan.kind, plan.compiles, plan.verdict) == ("plan", 2, "better")
    assert plan.plan is not None
    assert len({tensor.group for tensor in plan.plan.tensors if tensor.is_fast}) == 1
    assert found.answer is plan
    base = found.base
    assert base is not None
    assert not base.barred
    fast_bytes = base.problem.target.fast_bytes
    assert 0.929 * fast_bytes < base.roomy_problem.target.fast_bytes <= 0.93 * fast_bytes
    assert base.whole(Plan("f", reach=2.0)).reach == pytest.approx(2.0 * 0.93, rel=1e-2), "so many seconds"
    assert base.whole(Plan("f")) == Plan("f")


def test_a_plan_whose_last_compile_is_refused_has_failed() -> None:
    refusing = RefusingOverrides(pinned_by_the_first_plan().instruction, NO_ROOM, compiles=(1, 2))
    found = improved(refusing, compiles=2, without=("splits",))
    assert found.tried[1].failure is not None
    assert found.tried[1].failure.startswith("the compiler refused an override")
    assert (found.answer.kind, found.status) == ("xla default", "compiles spent")
