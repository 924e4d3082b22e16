"""The loop against a compiler whose times are known: what it asks for, what it learns, what it answers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame.bench.settings import splits as split_settings
from mallocgame.compiler.cache import CompileCache
from mallocgame.compiler.child import Compiled, Limits, Request
from mallocgame.compiler.export.options import SORT_ORDER, TENSOR_OVERRIDES
from mallocgame.optimizer.improve import improve
from mallocgame.optimizer.knowledge.base import Outlook, base_of
from mallocgame.optimizer.knowledge.candidates import Tried
from mallocgame.optimizer.knowledge.choice import Choice
from mallocgame.optimizer.knowledge.knowledge import Knowledge
from mallocgame.optimizer.proposers.least_m import LeastM
from mallocgame.optimizer.proposers.order import PROPOSERS
from mallocgame.optimizer.proposers.plans import FEW, Plans
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.plan.named_plan import name_plan
from mallocgame.plan.objective import Objective
from mallocgame.plan.plan import Plan
from mallocgame.problem.chips import CHIPS
from mallocgame.solvers import solve
from mallocgame.system.errors import CompilerRefusedError
from mallocgame.system.progress import silent
from tests.bench.scan import CLOCK, a_capture, compiled
from tests.compiler.text_proto import parse
from tests.optimizer.improve.fake import OFF, SLICES, Fake, improved, splits_of


def test_where_a_plan_promises_little_a_split_is_first_then_plans_and_msa_off_last() -> None:
    fake = Fake()
    found = improved(fake, compiles=5)
    assert [tried.about for tried in found.tried] == [
        "XLA's default",
        "split of 49152 KiB",
        "plan 1 at 49152 KiB",
        "split of 32768 KiB",
        "MSA switched off at 49152 KiB",
        "order of the plan at 49152 KiB",
    ]
    assert fake.asked[0] == {SCOPED_VMEM: "49152"}
    assert fake.asked[1][SCOPED_VMEM] == "49152"
    assert fake.asked[3] == {SCOPED_VMEM: "49152", OFF: "false"}
    assert found.compiles == len(fake.asked) == 5
    assert found.status == "compiles spent"
    answer = found.answer
    assert (answer.kind, answer.proposer, answer.scoped_vmem_kib) == ("plan", "plans", 49152)
    assert answer.row is not None
    saved = (found.default.e_seconds - answer.row.e_seconds) * CLOCK
    assert saved == pytest.approx(40_000 + 20_000, abs=1.0)
    assert answer.options == fake.asked[1]
    assert found.base is not None
    assert found.base.bound_m <= answer.row.m_seconds


@pytest.mark.parametrize(("gains", "splits", "proposed"), [(1.1, True, True), (0.9, True, False), (0.9, False, True)])
def test_a_plan_that_promises_much_is_first_or_where_there_are_no_splits(
    gains: float, splits: bool, proposed: bool
) -> None:
    known = knowledge(plans=0)
    known.splits = splits
    plan = name_plan(known.first.problem, Plan(known.first.problem.fingerprint), solver="auto", seed=0)
    value = 1 - gains * FEW
    known.first.outlook = Outlook(plan, value * known.default.e_seconds, known.default.m_seconds)
    candidate = Plans().propose(known)
    assert (candidate is not None) == proposed
    assert known.seconds_left == 10.0, "what was found is kept"


def test_splits_climb_from_the_best_to_its_neighbours() -> None:
    fake = Fake()
    found = improved(fake, without=("plans", "msa off", "flags"))
    # 65536 is best: above it comes 98304, and below it 49152 was first. Then there is nothing left.
    assert splits_of(fake) == ["49152", "32768", "65536", "98304"]
    assert found.status == "nothing left to try"
    assert found.answer.scoped_vmem_kib == 65536


class Slower(Fake):
    """Each split but one costs more than half of the time again."""

    def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
        self.asked.append(dict(request.options))
        split = request.options.get(SCOPED_VMEM)
        cost = 0 if split is None else -15_000 if split == "24576" else 100_000
        return compiled(request, 150_000 + cost)


def test_after_a_bad_large_step_comes_the_split_between_it_and_the_default() -> None:
    fake = Slower()
    found = improved(fake, without=("plans", "msa off", "flags"))
    # 24576 is best; its neighbours are 16384, the default, which is known, and 32768.
    assert splits_of(fake) == ["49152", "24576", "32768"]
    assert found.answer.scoped_vmem_kib == 24576


def test_a_bad_split_gets_no_plan() -> None:
    fake = Slower()
    improve(a_capture(), compile=fake, time_limit=30.0, compiles=4, without=("msa off", "flags"))
    assert splits_of(fake) == ["49152", "24576"]
    with_plans = [options.get(SCOPED_VMEM) for options in fake.asked if TENSOR_OVERRIDES in options]
    assert with_plans == [None, "24576"]


def test_flags_are_tried_on_the_best_split_when_plans_have_nothing_more() -> None:
    class Sliced(Fake):
        def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
            self.asked.append(dict(request.options))
            return compiled(request, 150_000 - 40_000 * (request.options.get(SLICES) == "0"))

    fake = Sliced()
    found = improved(fake, without=("plans", "msa off", "splits"))
    flags = [options for options in fake.asked if SLICES in options]
    assert flags == [{SLICES: "0"}]
    assert (found.answer.proposer, found.answer.kind, found.answer.options) == ("flags", "global flags", {SLICES: "0"})
    assert found.status == "nothing left to try"
    assert found.compiles == 6


def test_a_soft_plan_has_the_order_of_the_best_plan_alone() -> None:
    fake = Fake(plan_saves=-1000)
    found = improved(fake, without=("splits", "flags"))
    soft = next(tried for tried in found.tried if tried.kind == "soft plan")
    assert soft.options.keys() == {SORT_ORDER}
    plan = next(tried.plan for tried in found.tried if tried.plan is not None)
    patterns = [
        one["hlo_position_matcher"][0]["instruction_name_regex"][0]
        for one in parse(soft.options[SORT_ORDER])["overrides"]
    ]
    first = {
        tensor.instruction for tensor in plan.tensors if any(re.fullmatch(p, tensor.instruction) for p in patterns)
    }
    fast = {tensor.group for tensor in plan.tensors if tensor.is_fast}
    assert first == {tensor.instruction for tensor in plan.tensors if tensor.group in fast}


def knowledge(objective: Objective = "both", plans: int = 1) -> Knowledge:
    """After so many plans, of which none is kept."""
    base = base_of(a_capture())
    base.plans = plans
    default = Tried("xla default", "xla default", "", {}, None, base.problem.fingerprint, row=base.default)
    return Knowledge(base, [base], Choice(objective), 0, 5, 10.0, silent, tried=[default])


def test_the_first_plan_is_for_the_schedule_where_a_search_promises_most() -> None:
    """At another split XLA is slower by a tenth, but the plan that was found there is the quicker one."""
    known = knowledge(plans=0)
    first, row = known.first, known.default
    other = base_of(replace(a_capture(), options={SCOPED_VMEM: "49152"}))
    other.default = replace(row, e_seconds=1.1 * row.e_seconds)
    known.bases.append(other)
    plan = name_plan(other.problem, Plan(other.problem.fingerprint), solver="auto", seed=0)
    first.outlook = Outlook(plan, 0.95 * row.e_seconds, row.m_seconds)
    other.outlook = Outlook(plan, 0.90 * row.e_seconds, row.m_seconds)
    candidate = Plans().propose(known)
    assert candidate is not None
    assert (candidate.base, candidate.about) == (other, "plan 1 at 49152 KiB")
    assert candidate.predicted == (0.90 * row.e_seconds, row.m_seconds)
    assert known.seconds_left == 10.0, "nothing was searched again"
    other.plans = 1  # it was compiled, and was no better than XLA there: now the first schedule promises more
    assert known.most_promising() is first


def test_a_hopeless_split_is_not_searched() -> None:
    known = knowledge(plans=0)
    other = base_of(replace(a_capture(), options={SCOPED_VMEM: "49152"}))
    other.default = replace(known.default, e_seconds=1.3 * known.default.e_seconds)
    known.bases.append(other)
    candidate = Plans().propose(known)
    assert candidate is not None
    assert candidate.base is known.first
    assert known.first.outlook is not None
    assert other.outlook is None


def test_the_plan_for_m_alone_is_proposed_once_for_a_schedule_that_has_plans() -> None:
    known, proposer = knowledge(), LeastM()
    candidate = proposer.propose(known)
    assert candidate is not None
    assert candidate.plan is not None
    assert (candidate.about, candidate.kind) == ("plan for M alone", "plan")
    assert candidate.predicted == known.first.predict(candidate.plan.plan)
    exact = solve(known.first.problem, "exact", 20.0, objective="M")
    assert exact.status == "optimal"
    assert candidate.predicted[1] == pytest.approx(known.first.predict(exact.plan)[1], rel=1e-9)
    assert candidate.predicted[1] < known.default.m_seconds
    assert proposer.propose(known) is None
    assert LeastM().propose(knowledge(plans=0)) is None
    assert LeastM().propose(knowledge("E")) is None


def test_a_plan_for_m_alone_that_was_compiled_is_not_proposed() -> None:
    known = knowledge()
    candidate = LeastM().propose(known)
    assert candidate is not None
    known.tried.append(replace(known.tried[0], plan=candidate.plan))
    assert LeastM().propose(known) is None
    known = knowledge()
    known.tried.append(replace(known.tried[0], row=replace(known.default, m_seconds=1.0005 * candidate.predicted[1])))
    assert LeastM().propose(known) is None, "nothing to gain"


def test_every_ladder_has_the_splits_that_flag_tuning_has_or_fewer() -> None:
    known = {name: chip.splits for name, chip in CHIPS.items() if chip.splits is not None}
    assert known.keys() == {"v5e", "v5p", "v6e", "tpu7x"}
    for target, splits in known.items():
        assert list(splits.ladder) == sorted(splits.ladder)
        assert splits.first in splits.ladder
        by_hand = {int(value) for _, value in split_settings(target)}
        assert {*splits.ladder} <= {*by_hand, splits.default}
        assert splits.default not in by_hand


def test_never_worse_than_the_default() -> None:
    slow = Fake(plan_saves=-1000)
    found = improved(slow, without=("splits",))
    assert found.answer is found.tried[0]
    assert found.answer.options == {}
    assert {tried.verdict for tried in found.tried[1:]} <= {"worse", "equal"}


@pytest.mark.parametrize("left_out", PROPOSERS)
def test_leaving_one_out(left_out: str) -> None:
    found = improved(Fake(), compiles=4, without=(left_out,))
    assert left_out not in {tried.proposer for tried in found.tried}


def test_without_compiles_there_is_the_default() -> None:
    fake = Fake()
    found = improved(fake, compiles=0)
    assert (fake.asked, found.compiles, found.answer.kind) == ([], 0, "xla default")


def test_interrupted_it_gives_the_best_so_far() -> None:
    class Interrupted(Fake):
        def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
            if len(self.asked) == 1:
                raise KeyboardInterrupt
            return super().__call__(request, limits)

    found = improved(Interrupted())
    assert (found.status, found.answer.kind, found.answer.scoped_vmem_kib) == ("interrupted", "split", 49152)


def test_what_the_compiler_refuses_is_counted_and_the_others_go_on() -> None:
    class Refusing(Fake):
        def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
            done = super().__call__(request, limits)
            if SCOPED_VMEM in request.options:
                raise CompilerRefusedError("no room for windows\nhere")
            return done

    fake = Refusing()
    found = improved(fake, compiles=4)
    assert found.tried[1].failure == "no room for windows here"
    assert (found.tried[1].row, found.tried[1].compiles) == (None, 1)
    assert found.answer.kind == "plan"
    assert found.answer.scoped_vmem_kib is None


def test_a_plan_is_learned_from() -> None:
    found = improved(Fake(), compiles=3, without=("splits",))
    plan = found.tried[1]
    assert (plan.kind, found.tried[2].kind) == ("plan", "msa off")
    assert plan.predicted is not None
    assert plan.honoured is not None
    assert plan.plan is not None
    assert found.base is not None
    # The fake compiler leaves all placements as XLA's default has them, with the plan's cycles; what was seen first of
    # a placement stays.
    assert found.base.predict(plan.plan.plan)[0] > 0


def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mallocgame.compiler import cache

    monkeypatch.setattr(cache, "installed_versions", lambda: {"libtpu": "0.0.52"})
    first, second = Fake(), Fake()
    whole = improve(a_capture(), compile=CompileCache(tmp_path, first), time_limit=1.0, compiles=3, without=("plans",))
    again = improve(a_capture(), compile=CompileCache(tmp_path, second), time_limit=1.0, compiles=3, without=("plans",))
    assert second.asked == []
    assert again.answer == whole.answer
    assert again.compiles == whole.compiles == 3
