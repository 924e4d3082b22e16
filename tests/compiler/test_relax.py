"""What becomes of a plan when the compiler refuses a part of it, and which program is the best."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mallocgame.compiler.export.options import compiler_options
from mallocgame.compiler.failures import OverrideRefusedError
from mallocgame.compiler.relax import NO_ROOM, Relaxation
from mallocgame.compiler.verification import Row, best_of
from mallocgame.plan.named_plan import NamedUse, in_hbm
from mallocgame.plan.plan import Copy, Stay
from tests.compiler.plans import MIB, plan, tensor, use


def a_plan():  # type: ignore[no-untyped-def]
    return plan(
        [
            tensor(0, "w", [use("f"), use("g", True, 3, operand=1)]),
            tensor(1, "copy.1", [use("while.2", True)], fast=True),
            tensor(2, "arg", [use("h", True)], fast=True, group=1, index=(0,)),
        ],
        [Stay(0, 4, 6, MIB), Stay(1, 2, 5, 0), Stay(2, 6, 9, 0)],
        [Copy(0, "prefetch", 3, 6)],
    )


def test_no_room_first_moves_the_group_to_the_front_then_to_hbm() -> None:
    relaxation = Relaxation(a_plan())
    refusal = OverrideRefusedError("while.2", 0, "copy.1", f"Out of alternate memory / {NO_ROOM}")
    assert relaxation.refuse(refusal)
    assert relaxation.first == (1,)
    assert not relaxation.relaxed
    assert relaxation.refuse(refusal)
    assert [(entry.group, entry.tensor) for entry in relaxation.relaxed] == [(1, "copy.1")]
    assert relaxation.named == in_hbm(a_plan(), [1])


def test_wrong_time_goes_to_hbm_at_once() -> None:
    relaxation = Relaxation(a_plan())
    assert relaxation.refuse(OverrideRefusedError("g", 1, None, "scheduled prefetch time (0) does not match"))
    assert [entry.group for entry in relaxation.relaxed] == [0]
    assert relaxation.named.plan.copies == ()
    assert relaxation.named.plan.fast_uses == {(1, 0), (2, 0)}


def test_a_refusal_about_nothing_of_the_plan_is_not_taken() -> None:
    relaxation = Relaxation(a_plan())
    assert not relaxation.refuse(OverrideRefusedError("unknown", 0, "nothing", "why"))


def test_a_check_that_names_the_parameter_finds_its_group() -> None:
    relaxation = Relaxation(a_plan())
    assert relaxation.refuse(OverrideRefusedError(None, 0, "arg", "compiler died", (0,)))
    assert [entry.group for entry in relaxation.relaxed] == [1]


@pytest.mark.parametrize(("left", "kept"), [(4, 10), (3, 9), (2, 9), (1, 6)])
def test_the_fewer_compiles_are_left_the_less_room_a_refused_plan_may_take(left: int, kept: int) -> None:
    tensors = [tensor(number, f"copy.{number}", [use(f"f.{number}", True)], fast=True) for number in range(10)]
    relaxation = Relaxation(plan(tensors, [Stay(number, 2, 5, number * MIB) for number in range(10)]))
    relaxation.cut(OverrideRefusedError("f.1", 0, "copy.1", NO_ROOM), left)
    assert sum(tensor.is_fast for tensor in relaxation.named.tensors) == kept
    assert [entry.cut for entry in relaxation.relaxed] == ([False] + [True] * (9 - kept) if kept < 10 else [])
    assert relaxation.named.tensors[1].is_fast == (kept == 10), "the refused one goes first"
    assert len(relaxation.named.order) == (kept if kept < 10 else 0)


def test_for_another_reason_than_room_all_that_is_alike_is_left_out() -> None:
    makers = ["copy.1", "copy.2", "fusion.3", "copy.4"]
    uses = [use("f.5", True), use("f.6", True), use("f.7", True), use("f.8", True, operand=1)]
    tensors = [tensor(number, maker, [used]) for number, (maker, used) in enumerate(zip(makers, uses, strict=True))]
    relaxation = Relaxation(plan(tensors, [Stay(number, 2, 5, 10 * number) for number in range(4)]))
    refusal = OverrideRefusedError("f.5", 0, "copy.1", "an override that cannot be")
    assert relaxation.refuse(refusal)
    relaxation.cut(refusal, 3)
    assert {entry.tensor for entry in relaxation.relaxed} >= {"copy.1", "copy.2"}
    assert [tensor.is_fast for tensor in relaxation.named.tensors][2:] == [True, True]


def test_a_plan_is_not_cut_to_nothing() -> None:
    one = plan([tensor(0, "copy.1", [use("f", True)], fast=True)], [Stay(0, 2, 5, 0)])
    relaxation = Relaxation(one)
    relaxation.cut(OverrideRefusedError("g", 0, "copy.2", NO_ROOM), 1)
    assert relaxation.named.plan == one.plan


def test_leaving_everything_in_hbm_leaves_only_keeps() -> None:
    named = in_hbm(a_plan(), [0, 1])
    assert not named.plan.stays
    assert not named.plan.fast_definitions
    options = compiler_options(named)
    assert "pin_in" not in "".join(options.values())
    assert "prefetch{" not in "".join(options.values())


DEFAULT = Row("xla default", 1.0, 0.0, 2.0, 0.0, 0, 0, (), True)


def test_best_needs_a_gain_under_one_model_and_no_loss_under_the_other() -> None:
    off = replace(DEFAULT, name="msa off")
    ours = replace(DEFAULT, name="plan")
    assert best_of((DEFAULT, off, ours)) == "xla default"
    assert best_of((DEFAULT, off, replace(ours, e_seconds=0.99))) == "plan"
    assert best_of((DEFAULT, off, replace(ours, e_seconds=0.9995))) == "xla default"
    assert best_of((DEFAULT, off, replace(ours, e_seconds=0.5, m_seconds=2.003))) == "xla default"
    assert best_of((DEFAULT, off, replace(ours, e_seconds=0.5, m_seconds=2.001))) == "plan"
    assert best_of((DEFAULT, replace(off, m_seconds=1.0), replace(ours, m_seconds=1.9))) == "msa off"
    assert best_of((DEFAULT, off, replace(ours, e_seconds=0.5, fits=False))) == "xla default"


def test_what_no_override_can_express_is_left_in_hbm_before_any_compile() -> None:
    """A second loop would hold on to w, which is copied again later; v beside it stays as it is planned."""
    first, second = NamedUse("while.1", ((0, (4,)),), True, 3, "x"), NamedUse("while.2", ((0, (4,)),), False, loop=True)
    tensors = [tensor(0, "w", [first, second, use("g", True, 20)]), tensor(1, "v", [use("h", True, 4)])]
    named = plan(tensors, [Stay(0, 4, 8, 0), Stay(1, 5, 9, 4 * MIB), Stay(0, 21, 30, 0)])
    relaxation = Relaxation(named)
    options = relaxation.options()
    assert [(entry.tensor, entry.cut) for entry in relaxation.relaxed] == [("w", False)]
    assert relaxation.named.plan.fast_uses == {(1, 0)}
    assert options == compiler_options(in_hbm(named, [named.tensors[0].group]))
