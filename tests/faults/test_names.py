"""Names made to be flags, shell, Python, HTML or control codes stay names, or are refused."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mallocgame.compiler.export import formats as export
from mallocgame.plan.answer_file import load_answer
from mallocgame.plan.options_file import ProgramOptions, save_options
from mallocgame.plan.problem_file import load_problem, save_problem
from mallocgame.system import checked_json
from mallocgame.system.errors import BadInputError
from mallocgame.system.printable import printable
from tests.cli.conftest import run as run
from tests.cli.support import PROGRAM, Outcome
from tests.faults.sources import ROOT

Run = Callable[..., Outcome]
EVIL = (
    "'; touch evil; '", "$(touch evil)", "`touch evil`", '"', "'", "\\", "a;b", "a|b", "a&b", "*", "~", "!x", "{a,b}",
    "'+__import__('os').system('touch')+'", "--xla_dump_to=/tmp/x", "<script>alert(1)</script>", "$HOME", "#", "a=b",
)  # fmt: skip
values = st.one_of(st.sampled_from(EVIL), st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30))


def _shell(line: str) -> str:
    """The value of LIBTPU_INIT_ARGS after a shell has run the line, in an empty folder."""
    script = f"{line}printf '%s' \"$LIBTPU_INIT_ARGS\""
    done = subprocess.run(["/bin/sh", "-c", script], cwd="/", capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_values_in_a_shell_line() -> None:
    options = {f"xla_{chr(ord('a') + number)}": value for number, value in enumerate(EVIL) if " " not in value}
    expected = " ".join(f"--{name}={value}" for name, value in options.items())
    assert _shell(export.to_libtpu_init_args(options)) == expected


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), values.filter(lambda v: " " not in v)))
def test_values_in_python_and_json(options: dict[str, str]) -> None:
    assert json.loads(export.to_json(options)) == options
    tree = ast.parse(export.to_python(options))
    assert len(tree.body) == 1
    assert isinstance(tree.body[0], ast.Assign)
    assert ast.literal_eval(tree.body[0].value) == options


@pytest.mark.parametrize("value", ["a b", "a\tb", "a\nb", "\x00", "\x7f", "\u00e9", "\u2028", " "])
@pytest.mark.parametrize("write", export.WRITERS.values())
def test_values_that_would_be_more_than_one_flag(write: Callable[[dict[str, str]], str], value: str) -> None:
    for options in ({"xla_a": value}, {f"xla_{value}": "1"}):
        with pytest.raises(BadInputError, match="cannot be written as a flag"):
            write(options)


@pytest.mark.parametrize("name", ["xla_dump_to", "xla_tpu_dump_llo", "--xla_a", "xla a", "XLA_A", ""])
def test_options_from_a_file(tmp_path: Path, name: str) -> None:
    """Options that name files, or are no names of options, are not taken from a file."""
    path = tmp_path / "options.json"
    content = ProgramOptions("split", "x", "m", "v5e", "0", {}, {"xla_tpu_scoped_vmem_limit_kib": "1"})
    save_options(content, path)
    assert load_answer(path) == content
    path.write_text(path.read_text().replace("xla_tpu_scoped_vmem_limit_kib", name))
    with pytest.raises(BadInputError):
        load_answer(path)


@pytest.mark.parametrize("name", ["%a'b", '%a"b', "%a;b", "%$(x)", "%<b>", "%a\\b", "%a b"])
def test_instruction_names(run: Run, tmp_path: Path, name: str) -> None:
    """A name that the parser takes comes out of every export as itself, and a plan with it runs nothing."""
    file, plan = tmp_path / "p.txt", tmp_path / "plan.json"
    file.write_text(PROGRAM.replace("%add.1", name))
    solved = run("solve", file, "--target", "v5e", "--time-limit", "0.2", "--out", plan)
    if solved.code != 0:
        assert solved.code == 2
        assert solved.error
        return
    for format in export.WRITERS:
        assert run("export", plan, "--format", format).code == 0
    options = json.loads(run("export", plan).out)
    line = run("export", plan, "--format", "libtpu-init-args").out
    assert _shell(line) == " ".join(f"--{option}={value}" for option, value in options.items())


@pytest.mark.parametrize("code", ["\x1b[31m", "\x00", "\x7f", "\x9b31m", "\u202e", "\u2028", "\n", "\ud800"])
def test_control_codes(code: str) -> None:
    assert printable(f"a{code[0]}b") == "a?b"
    assert printable("a \u00e9\u4e2d") == "a \u00e9\u4e2d"
    if code != "\u202e":
        with pytest.raises(BadInputError):
            checked_json.text(f"a{code}b", "x")


def test_a_module_name_that_turns_the_text_around_is_not_shown_so(run: Run, tmp_path: Path) -> None:
    from dataclasses import replace

    content = load_problem(ROOT / "workloads" / "problems" / "heat-v4lite.mgp")
    path = tmp_path / "p.mgp"
    save_problem(replace(content, problem=replace(content.problem, module="a\u202eb")), path)
    outcome = run("inspect", path)
    assert outcome.code == 0
    assert outcome.out.startswith("a?b for v4 lite")
