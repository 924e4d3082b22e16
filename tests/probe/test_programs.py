"""What a command line names: programs and options for them, or one clear line. No JAX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame.compiler.capture_file import load_capture
from mallocgame.compiler.export.options import compiler_options
from mallocgame.plan.named_plan import name_plan
from mallocgame.plan.options_file import ProgramOptions, save_options
from mallocgame.plan.plan import Plan
from mallocgame.plan.plan_file import save_plan
from mallocgame.probe.measure import check_device
from mallocgame.probe.programs import Program, programs_of
from mallocgame.problem.targets import DEVICE_KINDS, TARGETS
from mallocgame.system.errors import BadInputError
from tests.bench.fake import STORED
from tests.cli.support import Outcome


def test_options_are_for_the_program_before_them(tmp_path: Path) -> None:
    options, module = tmp_path / "options.json", tmp_path / "m.mlir"
    options.write_text('{"xla_a": true, "xla_b": 3, "xla_c": "text"}')
    module.write_text("module {}")
    found = programs_of(["my.module:f", options, module, str(options)])
    wanted = {"xla_a": "true", "xla_b": "3", "xla_c": "text"}
    assert [(one.function, one.lowered, dict(one.options)) for one in found] == [
        ("my.module:f", None, {}),
        ("my.module:f", None, wanted),
        (None, "module {}", {}),
        (None, "module {}", wanted),
    ]
    assert found[1].name == str(options)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"xla_dump_to": "/tmp"}', "is not an option that a capture may have"),
        ('{"no option": "1"}', "is not an option"),
        ('{"xla_a": 1.5}', "expected a text"),
        ('{"xla_a": [1]}', "expected a text"),
        ("[1]", "not a plan file"),
        ("{", "not JSON"),
        ('{"format": "mallocgame-nothing"}', "not a plan file"),
    ],
)
def test_options_that_cannot_be_used(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "options.json"
    file.write_text(content)
    with pytest.raises(BadInputError, match=words):
        programs_of(["my.module:f", file])


def test_names_that_are_no_programs(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("HloModule m, is_scheduled=true")
    for name in ("nothing", str(tmp_path), str(tmp_path / "text.txt"), "a:", ":b"):
        with pytest.raises(BadInputError, match="not a program: give MODULE:FUNCTION"):
            programs_of([name])
    (tmp_path / "options.json").write_text('{"xla_a": "1"}')
    with pytest.raises(BadInputError, match="options need a program before them"):
        programs_of([tmp_path / "options.json"])
    (tmp_path / "text.txt").write_text("HloModule m")
    assert programs_of([tmp_path / "text.txt"])[0].function == str(tmp_path / "text.txt")
    with pytest.raises(BadInputError, match=r"missing\.mlir"):
        programs_of([tmp_path / "missing.mlir"])


def test_an_answer_that_comes_first_brings_its_program(tmp_path: Path) -> None:
    capture = load_capture(STORED)
    problem = capture.problem()
    options = {"file": str(STORED)}
    named = name_plan(problem, Plan(problem.fingerprint), solver="hbm", options=options)
    save_plan(named, tmp_path / "plan.json")
    default, plan = programs_of([tmp_path / "plan.json"])
    assert (default.name, default.lowered, default.options) == (str(STORED), capture.lowered, dict(capture.options))
    assert plan.options == {**capture.options, **compiler_options(named)}


def test_a_capture_its_plan_and_an_answer_that_is_none(tmp_path: Path) -> None:
    capture = load_capture(STORED)
    problem = capture.problem()
    named = name_plan(problem, Plan(problem.fingerprint), solver="hbm")
    save_plan(named, tmp_path / "plan.json")
    answer = ProgramOptions(
        "msa off", "MSA off", problem.module, capture.target, problem.fingerprint, {}, {"xla_a": "1"}
    )
    save_options(answer, tmp_path / "answer.json")
    default, plan, off = programs_of([STORED, tmp_path / "plan.json", tmp_path / "answer.json"])
    assert (default.lowered, default.target, default.options) == (capture.lowered, "v4 lite", dict(capture.options))
    assert plan.options == {**capture.options, **compiler_options(named)}
    assert off.options == {**capture.options, "xla_a": "1"}
    assert plan.lowered == off.lowered == capture.lowered
    save_options(replace(answer, fingerprint="0" * 64), tmp_path / "other.json")
    with pytest.raises(BadInputError, match=r"other\.json: is for another program or schedule"):
        programs_of([STORED, tmp_path / "other.json"])
    save_options(replace(answer, target="v5p"), tmp_path / "v5p.json")
    with pytest.raises(BadInputError, match=r"v5p\.json: is for v5p, but .* is for v4 lite"):
        programs_of([STORED, tmp_path / "v5p.json"])
    save_plan(replace(named, fingerprint="0" * 64, plan=Plan("0" * 64)), tmp_path / "plan.json")
    with pytest.raises(BadInputError, match=r"plan\.json: is for another program or schedule"):
        programs_of([STORED, tmp_path / "plan.json"])


def test_a_plan_for_a_function_names_the_device(tmp_path: Path) -> None:
    problem = load_capture(STORED).problem()
    save_plan(name_plan(problem, Plan(problem.fingerprint), solver="hbm"), tmp_path / "plan.json")
    function, plan = programs_of(["my.module:f", tmp_path / "plan.json"])
    assert (function.target, plan.target, plan.function) == (None, "v4 lite", "my.module:f")


def test_every_target_has_a_device() -> None:
    assert DEVICE_KINDS.keys() == TARGETS.keys()
    assert len(set(DEVICE_KINDS.values())) == len(TARGETS)


def test_a_program_for_another_device_is_refused() -> None:
    program = Program("unet.mgz", lowered="", target="v5e")
    for kind in ("TPU v5 lite", "TPU v5e"):
        check_device(program, {"kind": kind})
    check_device(Program("f", function="a:b"), {"kind": "cpu"})
    with pytest.raises(BadInputError, match=r"unet\.mgz: is for v5e \(TPU v5 lite\), but the device at hand is cpu"):
        check_device(program, {"kind": "cpu"})


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["probe", "a:b"], "give two or more"),
        (["probe"], "give two or more"),
        (["probe", "a:b", "c:d", "--time-limit", "0"], "positive number of seconds"),
        (["probe", "a:b", "c:d", "--margin", "1"], "the margin has to be a share between 0 and 1"),
        (["probe", "a:b", "c:d", "--out", "/nowhere/x.json"], "there is no folder /nowhere"),
        (["probe", "--calibrate"], "--calibrate writes a target file: add --out FILE.json"),
        (["solve", "x.mgz", "--probe", "--solver", "local"], "--probe goes with auto's answer"),
        (["solve", "x.mgz", "--probe"], "x.mgz: --probe runs the program, so it needs a capture"),
        (["solve", "x.mgz", "--solver", "auto", "--target", "t.json"], "a target file is for the other solvers"),
        (["solve", "x.mgz", "--target", "t.json"], "t.json: cannot be read"),
    ],
)
def test_bad_input_is_one_line(run: Callable[..., Outcome], tokens: list[str], words: str) -> None:
    done = run(*tokens)
    assert done.code == 2
    assert words in done.error
