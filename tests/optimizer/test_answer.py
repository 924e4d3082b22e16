"""Answers as files, and that none is used for another program or compiler."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mallocgame
from mallocgame.compiler import versions as versions_module
from mallocgame.optimizer.answer import Estimate, load_optimized
from mallocgame.programs.program import program_of
from mallocgame.system.errors import BadInputError
from tests.optimizer.fake_search import MODULE
from tests.optimizer.test_store import ANSWER


@pytest.fixture
def plan(module: Path, monkeypatch: pytest.MonkeyPatch) -> mallocgame.Optimized:
    """An answer for the module and the compiler that is installed."""
    monkeypatch.setattr(versions_module, "installed_versions", lambda: dict.fromkeys(("jax", "jaxlib", "libtpu"), "1"))
    program = program_of(module, (), {}, "v5e", {})
    return replace(ANSWER, program=program.digest, versions=dict.fromkeys(("jax", "jaxlib", "libtpu"), "1"))


def test_it_is_for_its_program(plan: mallocgame.Optimized, module: Path) -> None:
    plan.check(module, target="v5e")
    module.write_text(MODULE.replace('"step.py":3:4', '"other.py":77:1'))
    plan.check(module, target="v5e")


def test_it_is_for_no_other_program_target_or_options(plan: mallocgame.Optimized, module: Path) -> None:
    with pytest.raises(BadInputError, match="the answer is for v5e, not for v5p; call mallocgame"):
        plan.check(module, target="v5p")
    with pytest.raises(BadInputError, match="is for another program"):
        plan.check(module, target="v5e", compiler_options={"xla_a": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIBTPU_INIT_ARGS", "--xla_sc_disjoint_spmem=false")
        with pytest.raises(BadInputError, match="is for another program"):
            plan.check(module, target="v5e")
    module.write_text(MODULE.replace("8xf32", "16xf32"))
    with pytest.raises(BadInputError, match="is for another program") as caught:
        plan.check(module, target="v5e")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["jaxlib", "libtpu"])
def test_it_is_for_no_other_compiler(
    plan: mallocgame.Optimized, module: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(versions_module, "installed_versions", lambda: {**plan.versions, name: "2"})
    with pytest.raises(BadInputError, match=f"found with {name} 1, here is 2; call mallocgame"):
        plan.check(module, target="v5e")


def test_a_saved_answer_is_refused_for_another_program(
    plan: mallocgame.Optimized, module: Path, tmp_path: Path
) -> None:
    plan.save(tmp_path / "plan.json")
    loaded = mallocgame.load_optimized(tmp_path / "plan.json")
    assert loaded == plan
    loaded.check(module, target="v5e")
    module.write_text(MODULE.replace("return %arg0", "return %arg1"))
    with pytest.raises(BadInputError, match="is for another program"):
        loaded.check(module, target="v5e")


@hypothesis.settings(max_examples=30)
@given(
    about=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=50),
    options=st.dictionaries(st.from_regex(r"xla_[b-d_]{1,20}", fullmatch=True), st.text('abc{}"\\ é\n', max_size=30)),
    seconds=st.floats(0, 1e6),
    e_seconds=st.none() | st.floats(0, 1e3),
    notes=st.lists(st.text("ab c", max_size=10)),
)
def test_what_is_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory,
    about: str,
    options: dict[str, str],
    seconds: float,
    e_seconds: float | None,
    notes: list[str],
) -> None:
    path = tmp_path_factory.mktemp("saved") / "plan.json"
    estimate = Estimate(e_seconds, seconds)
    figures = {"default": estimate, "answer": estimate}
    answer = replace(ANSWER, about=about, options=options, seconds=seconds, notes=tuple(notes), **figures)
    answer.save(path)
    assert load_optimized(path) == answer


@pytest.mark.parametrize(
    ("m_seconds", "verdict"),
    [(1.0, "better"), (1.0009, "better"), (1.0011, "better under E"), (1.02, "better under E")],
)
def test_an_answer_of_before_is_read_with_the_words_of_now(tmp_path: Path, m_seconds: float, verdict: str) -> None:
    answer = replace(ANSWER, verdict="better", default=Estimate(1.0, 1.0), answer=Estimate(0.9, m_seconds))
    answer.save(tmp_path / "plan.json")
    assert load_optimized(tmp_path / "plan.json").verdict == verdict


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "mallocgame-plan"}, "not an answer of mallocgame.optimize"),
        ({"version": 2}, "of version 2"),
        ({"options": {"xla_dump_to": "/etc"}}, "not an option that a capture may have"),
        ({"kind": "magic"}, "kind: expected 'xla default'"),
        ({"verdict": "worse than all"}, "verdict: expected 'better'"),
        ({"answer": {"e_seconds": -1.0, "m_seconds": 1.0}}, "answer.e_seconds"),
        ({"default": {"e_seconds": 1.0}}, "default: 'm_seconds' is missing"),
        ({"confirmed": 1}, "confirmed: expected true or false"),
        ({"notes": "one"}, "notes: expected a list"),
        ({"more": 1}, "unknown key 'more'"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "plan.json"
    ANSWER.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInputError, match=message):
        load_optimized(path)


def test_options_are_a_dictionary_of_the_callers_own() -> None:
    options = ANSWER.compiler_options
    options["xla_more"] = "1"
    assert ANSWER.compiler_options == {"xla_tpu_scoped_vmem_limit_kib": "32768"}
    assert ANSWER.flags() == "--xla_tpu_scoped_vmem_limit_kib=32768"
    with pytest.raises(BadInputError, match="cannot be written as a flag"):
        replace(ANSWER, options={"xla_a": "1 --xla_b=2"}).flags()


def test_saving_and_words() -> None:
    assert ANSWER.saving == (0.25, 0.0)
    assert str(ANSWER) == (
        "jit_f for v5e: split of 32768 KiB: E 1500 ms (-25.00%), M 1000 ms (+0.00%), better; confirmed by the compiler"
    )
    unknown = replace(ANSWER, default=None, verdict=None, confirmed=False, answer=Estimate(None, 1.0))
    assert unknown.saving == (None, None)
    assert str(unknown) == "jit_f for v5e: split of 32768 KiB: M 1000 ms, not compared; predicted, not confirmed"


def frozen(answer: Any) -> Callable[[], None]:
    def change() -> None:
        answer.kind = "plan"

    return change


def test_it_does_not_change() -> None:
    with pytest.raises(AttributeError):
        frozen(ANSWER)()
