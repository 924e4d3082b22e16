"""A search that starts from an answer: what fits of it is compiled first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from mallocgame import api
from mallocgame.compiler.export.options import SORT_ORDER, TENSOR_OVERRIDES
from mallocgame.optimizer.improve import Improved, improve
from mallocgame.optimizer.start import Start, load_start
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.plan.confirmation import Confirmation, Stated
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.plan.options_file import ProgramOptions, save_options
from mallocgame.plan.plan_file import save_plan
from mallocgame.plan.verdict import Kind
from mallocgame.system.errors import BadInputError
from tests.bench.scan import CLOCK, a_capture
from tests.cli.support import Outcome
from tests.optimizer.improve.fake import OFF, Fake, improved
from tests.plan.renamed import renumbered


@pytest.fixture(scope="module")
def plan() -> NamedPlan:
    """An answer at 49152 KiB, under other names."""
    found = improved(Fake(), compiles=3).answer.plan
    assert found is not None
    assert found.scoped_vmem_kib == 49152
    tensors = tuple(renumbered(found.tensors, Random(4)))
    return replace(found, tensors=tensors, fingerprint="0" * 64, versions={"libtpu": "0.0.50.1"})


def started(fake: Fake, answer: NamedPlan | ProgramOptions, compiles: int = 1) -> Improved:
    start = Start("old.json", answer, "0" * 64)
    return improve(a_capture(), compile=fake, time_limit=1.0, compiles=compiles, start=start)


def options(kind: Kind, given: dict[str, str]) -> ProgramOptions:
    return ProgramOptions(kind, "what it was", "jit_f", "v5e", "abc", {"libtpu": "0.0.50.1"}, given)


def test_one_compile_keeps_the_gain_of_a_plan_at_another_split(plan: NamedPlan) -> None:
    fake = Fake()
    found = started(fake, plan)
    (asked,) = fake.asked
    assert asked[SCOPED_VMEM] == "49152"
    assert TENSOR_OVERRIDES in asked
    answer = found.answer
    groups = len({tensor.group for tensor in plan.tensors if tensor.is_fast})
    again = f"plan carried over from old.json: {groups} of {groups} groups found again at 49152 KiB"
    assert (answer.proposer, answer.kind, answer.about, answer.scoped_vmem_kib) == (
        "carried over",
        "plan",
        again,
        49152,
    )
    assert answer.row is not None
    assert (found.default.e_seconds - answer.row.e_seconds) * CLOCK == pytest.approx(60_000, abs=1.0)
    assert answer.plan is not None, "the schedule there is the foreseen one"
    assert answer.plan.plan.fast_uses == plan.plan.fast_uses
    assert found.carried is not None
    assert (found.carried.found, found.carried.groups) == (groups, groups)


def test_a_plan_of_the_same_split_is_one_of_its_schedule(plan: NamedPlan) -> None:
    fake = Fake()
    found = started(fake, replace(plan, scoped_vmem_kib=None))
    assert SCOPED_VMEM not in fake.asked[0]
    assert found.answer.proposer == "carried over"
    assert found.base is not None
    assert found.answer.plan is not None
    assert found.base.plan == found.answer.plan.plan, "the search goes on from there"


def test_the_search_goes_on_from_a_plan_once_its_split_is_captured(plan: NamedPlan) -> None:
    fake = Fake()
    found = started(fake, plan, compiles=3)
    assert fake.asked[1] == {SCOPED_VMEM: "49152"}
    assert found.base is not None
    assert found.answer.plan is not None
    assert found.base.plan == found.answer.plan.plan
    assert found.base.carried is not None
    assert found.base.carried.plan.fast_uses == plan.plan.fast_uses, "where the search on any schedule begins"
    assert [tried.proposer for tried in found.tried[:3]] == ["xla default", "carried over", "splits"]


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (options("split", {SCOPED_VMEM: "32768"}), {SCOPED_VMEM: "32768"}),
        (options("global flags", {"xla_msa_max_repacks": "20"}), {"xla_msa_max_repacks": "20"}),
        (options("msa off", {OFF: "false"}), {OFF: "false"}),
        (options("plan", {SCOPED_VMEM: "65536", TENSOR_OVERRIDES: "x", "xla_tpu_x": "0"}), {SCOPED_VMEM: "65536"}),
        (options("split", {SCOPED_VMEM: "65536", SORT_ORDER: "x"}), {SCOPED_VMEM: "65536"}),
    ],
)  # fmt: skip
def test_options_are_tried_as_they_are_but_for_names(answer: ProgramOptions, asked: dict[str, str]) -> None:
    fake = Fake()
    found = started(fake, answer)
    assert fake.asked == [asked]
    assert found.tried[1].proposer == "carried over"
    assert found.carried is not None
    assert found.carried.groups is None


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (options("xla default", {}), "nothing carried over from old.json: it is XLA's default"),
        (options("soft plan", {SORT_ORDER: "x"}), "nothing carried over from old.json: it names instructions"),
    ],
)
def test_where_nothing_is_left_of_an_answer_the_search_is_as_without(answer: ProgramOptions, why: str) -> None:
    fake = Fake()
    found = started(fake, answer)
    assert found.carried is not None
    assert found.carried.about.startswith(why)
    assert fake.asked == [{SCOPED_VMEM: "49152"}]


def without_one(plan: NamedPlan) -> NamedPlan:
    """A plan of a program that has another tensor in the place of the first one in fast memory."""
    lost = next(tensor for tensor in plan.tensors if tensor.is_fast)
    uses = tuple(replace(use, instruction=f"other-{use.instruction}", operands=((9, ()),)) for use in lost.uses)
    other = replace(lost, instruction="other.1", size=512, uses=uses)
    return replace(plan, tensors=tuple(other if tensor is lost else tensor for tensor in plan.tensors))


@pytest.mark.parametrize(("gained", "split_first"), [(1e-6, False), (0.9, True)])
def test_but_not_where_the_plan_alone_is_predicted_to_gain_much_of_what_it_did(
    plan: NamedPlan, gained: float, split_first: bool
) -> None:
    before, after = Stated(1.0, 0.0, 1.0, 0.0, 0, 0), Stated(1.0 - gained, 0.0, 1.0 - gained, 0.0, 0, 0)
    kept = Confirmation(before, after, "better", 49152, None, None, (), (), "", "", None, "", "")
    fake = Fake()
    started(fake, replace(without_one(plan), confirmation=kept))
    (asked,) = fake.asked
    assert (SCOPED_VMEM in asked, TENSOR_OVERRIDES in asked) == (split_first, not split_first)


def test_where_the_schedule_is_foreseen_to_differ_the_split_comes_first(plan: NamedPlan) -> None:
    fake = Fake()
    found = started(fake, without_one(plan), compiles=2)
    assert fake.asked[0] == {SCOPED_VMEM: "49152"}
    assert fake.asked[1][SCOPED_VMEM] == "49152"
    groups = len({tensor.group for tensor in plan.tensors if tensor.is_fast})
    assert [tried.about for tried in found.tried[1:]] == [
        f"memory split carried over from old.json: 49152 KiB; at XLA's own {groups - 1} of {groups} groups found again",
        f"plan carried over from old.json: {groups - 1} of {groups} groups found again at 49152 KiB",
    ]
    assert found.base is not None
    assert found.base.capture.scoped_vmem_kib == 49152


def test_a_plan_of_another_program_is_not_found_again(plan: NamedPlan) -> None:
    tensors = tuple(
        replace(
            tensor,
            instruction=f"other-{tensor.instruction}",
            size=3 * tensor.size + 512,
            uses=tuple(replace(use, instruction=f"other-{use.instruction}") for use in tensor.uses),
        )
        for tensor in plan.tensors
    )
    found = started(Fake(), replace(plan, tensors=tensors, scoped_vmem_kib=None))
    assert found.carried is not None
    assert found.carried.found == 0
    assert "carried over" not in [tried.proposer for tried in found.tried]


def test_an_answer_for_another_target_is_refused(plan: NamedPlan, captured: Path, tmp_path: Path) -> None:
    save_plan(replace(plan, target="v5p", plan=replace(plan.plan, fingerprint="0" * 64)), tmp_path / "old.json")
    message = "old.json: an answer for v5p, and the program is compiled for v5e"
    with pytest.raises(BadInputError, match=message):
        api.auto(captured, start_from=tmp_path / "old.json", time_limit=1.0, cache=tmp_path / "compiles")


def test_what_cannot_be_compiled_is_told(captured: Path, tmp_path: Path) -> None:
    save_options(options("split", {SCOPED_VMEM: "32768"}), tmp_path / "old.json")
    with pytest.raises(BadInputError, match=r"old.json: only a compile tells .*: no compiles were allowed"):
        api.auto(captured, start_from=tmp_path / "old.json", compiles=0, cache=tmp_path / "compiles")


def test_what_is_no_answer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    with pytest.raises(BadInputError, match=r"old.json: not a plan file"):
        load_start(tmp_path / "old.json")


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["x.mgz", "--from", "old.json", "--solver", "local"], "--from is what auto starts from, not --solver local"),
        (["*.mgz", "--from", "old.json", "--out", "plans"], "several programs: --from is an answer for one"),
        (["x.mgz", "--from", "old.json"], "old.json: cannot be read"),
    ],
)
def test_bad_input_is_one_line(run: Callable[..., Outcome], tokens: list[str], words: str) -> None:
    done = run("solve", *tokens)
    assert done.code == 2
    assert words in done.error
    assert len(done.error.splitlines()) == 1
