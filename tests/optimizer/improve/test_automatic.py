"""`solve --solver auto`: with a compiler, without one, and answers as files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame import api
from mallocgame.cli.answers.automatic import lines, of_automatic
from mallocgame.optimizer import automatic
from mallocgame.optimizer.automatic import Automatic, solve_automatically
from mallocgame.optimizer.knowledge.choice import Choice
from mallocgame.plan.answer_file import load_answer
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.plan.options_file import ProgramOptions, save_options
from mallocgame.programs.loading import load
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from tests.optimizer.improve.fake import Fake

OPTIONS = ProgramOptions(
    "split", "split of 32768 KiB", "jit_f", "v5e", "abc", {"libtpu": "0.0.52"}, {SCOPED_VMEM: "32768"}
)


def solved(file: Path, fake: Fake, compiles: int = 3) -> Automatic:
    loaded = load(file)
    return solve_automatically(
        loaded, fake, time_limit=0.5, compiles=compiles, seed=0, choice=Choice(), progress=lambda _: None
    )


def test_a_confirmed_plan_is_a_plan_file(captured: Path, tmp_path: Path) -> None:
    found = solved(captured, Fake())
    assert isinstance(found.answer, NamedPlan)
    assert found.improved is not None
    assert json.loads(api.export(found.answer)) == found.improved.answer.options
    document = of_automatic(found, tmp_path / "plan.json")
    assert document["confirmed"] is True
    assert document["programs"][document["answer"]]["kind"] == "plan"
    assert len(document["programs"]) == 4
    text = "\n".join(lines(document))
    assert "answer: plan 1 at 49152 KiB" in text
    assert "split of 49152 KiB" in text
    json.dumps(document, allow_nan=False)


def test_an_answer_that_is_no_plan_is_a_file_of_options(captured: Path, tmp_path: Path) -> None:
    found = solved(captured, Fake(), compiles=1)
    assert isinstance(found.answer, ProgramOptions)
    assert found.answer.options == {SCOPED_VMEM: "49152"}
    out = tmp_path / "answer.json"
    save_options(found.answer, out)
    assert load_answer(out) == found.answer
    assert json.loads(api.export(out)) == {SCOPED_VMEM: "49152"}
    assert api.export(out, "libtpu-init-args") == f"export LIBTPU_INIT_ARGS=--{SCOPED_VMEM}=49152\n"


def test_without_a_compiler_nothing_is_confirmed(captured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> dict[str, str]:
        raise CompilerRefusedError("libtpu is not installed")

    monkeypatch.setattr(automatic, "installed_versions", missing)
    fake = Fake()
    found = solved(captured, fake)
    assert fake.asked == []
    assert isinstance(found.answer, NamedPlan)
    assert found.notes == ("nothing is confirmed: libtpu is not installed",)
    assert found.predicted is not None
    document = of_automatic(found, None)
    assert document["confirmed"] is False
    assert "not confirmed" in "\n".join(lines(document))


def test_a_text_is_no_capture(program: Path) -> None:
    found = api.auto(program, target="v5e", time_limit=0.5, cache=program.parent / "compiles")
    assert found.improved is None
    assert found.notes == ("nothing is confirmed: the file is no capture, so there is no program to compile",)


def test_another_version_is_told(captured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automatic, "installed_versions", lambda: dict.fromkeys(("jax", "jaxlib", "libtpu"), "9"))
    assert "captured with libtpu 0.0.52, compiled with 9" in solved(captured, Fake(), compiles=1).notes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "magic"}, "expected 'xla default'"),
        ({"version": 2}, "of version 2"),
        ({"options": {"xla_dump_to": "/etc"}}, "not an option that a capture may have"),
        ({"options": {"xla_msa_enable": 1}}, "expected a text"),
        ({"more": 1}, "more"),
    ],
)
def test_a_damaged_file_of_options_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    out = tmp_path / "answer.json"
    save_options(OPTIONS, out)
    out.write_text(json.dumps(json.loads(out.read_text()) | change))
    with pytest.raises(BadInputError, match=message):
        load_answer(out)


def test_options_that_cannot_be_flags_are_not_exported(tmp_path: Path) -> None:
    out = tmp_path / "answer.json"
    save_options(replace(OPTIONS, options={"xla_msa_enable": "false --xla_dump_to=/etc"}), out)
    with pytest.raises(BadInputError, match="cannot be written as a flag"):
        api.export(out, "libtpu-init-args")


def test_budgets_out_of_range(program: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be negative"):
        api.auto(program, target="v5e", compiles=-1, cache=tmp_path / "compiles")
    with pytest.raises(BadInputError, match="positive number of seconds"):
        api.auto(program, target="v5e", time_limit=0.0, cache=tmp_path / "compiles")
    with pytest.raises(BadInputError, match="auto is not one solver"):
        api.solve(program, target="v5e", solver="auto")


def test_the_command(run: Callable[..., object], program: Path, tmp_path: Path) -> None:
    outcome = run("solve", program, "--target", "v5e", "--solver", "auto", "--time-limit", "20",
                  "--cache", tmp_path / "compiles", "--out", tmp_path / "plan.json")  # fmt: skip
    assert outcome.code == 0  # type: ignore[attr-defined]
    assert "not confirmed" in outcome.out  # type: ignore[attr-defined]
    assert "nothing written" in outcome.out  # type: ignore[attr-defined]
    assert not (tmp_path / "plan.json").exists()
