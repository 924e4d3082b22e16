"""What no compiler has scheduled is compiled first: by ``solve``, ``inspect`` and ``mallocgame.optimize`` alike."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import mallocgame
from mallocgame.compiler.module_file import is_program
from mallocgame.programs import compiled_file
from mallocgame.programs.loading import load
from mallocgame.system.errors import BadInputError
from tests.bench.fake import STORED, stored
from tests.cli.support import PROGRAM, Outcome

Run = Callable[..., Outcome]
TEXT = """HloModule step, entry_computation_layout={(f32[256,256]{1,0})->f32[256,256]{1,0}}

ENTRY main {
  a = f32[256,256]{1,0} parameter(0)
  product = f32[256,256]{1,0} dot(a, a), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  ROOT answer = f32[256,256]{1,0} tanh(product)
}
"""


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program's text, and an empty cache of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "step.hlo.gz"
    file.write_bytes(gzip.compress(TEXT.encode()))
    return file


@pytest.mark.parametrize(
    ("name", "text", "program"),
    [
        ("a.hlo", TEXT, True),
        ("a.txt", TEXT, True),
        ("a.mlir", "module @f {}", True),
        ("a.hlo", PROGRAM, False),
        ("a.txt", "notes", False),
        ("a.json", TEXT, False),
    ],
)
def test_a_schedule_is_no_program(tmp_path: Path, name: str, text: str, program: bool) -> None:
    (tmp_path / name).write_text(text)
    assert is_program(tmp_path / name) is program
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    assert is_program(tmp_path / f"{name}.gz") is program


def test_it_is_compiled_once(step: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def compile_it(path: str, args: None, target: str, out: Path, *, init_args: tuple[str, ...], **_: object) -> None:
        asked.append(" ".join((target, *init_args)))
        out.write_bytes(STORED.read_bytes())

    monkeypatch.setattr(compiled_file, "capture", compile_it)
    monkeypatch.setattr(compiled_file, "installed_versions", lambda: {"libtpu": "1"})
    told: list[str] = []
    for _ in range(2):
        loaded = load(step, "v4 lite", progress=told.append)
        assert loaded.problem.fingerprint == stored().problem().fingerprint
        assert Path(loaded.source).suffix == ".mgz"
    assert (asked, told) == (["v4 lite"], [f"compiling {step} for v4 lite"])
    with pytest.raises(BadInputError, match="is for v4 lite, not for v5e"):
        load(step, "v5e")  # asked anew, for it is another target; the fake compiler knows one only
    monkeypatch.setattr(compiled_file, "installed_versions", lambda: {"libtpu": "2"})
    load(step, "v4 lite")
    step.write_bytes(gzip.compress(TEXT.replace("tanh", "exponential").encode()))
    load(step, "v4 lite")
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "--xla_a=1")
    load(step, "v4 lite")
    assert asked == ["v4 lite", "v5e", "v4 lite", "v4 lite", "v4 lite --xla_a=1"]


def test_it_does_not_say_its_target(step: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def compile_it(path: str, args: None, target: str, out: Path, **_: object) -> None:
        asked.append(target)
        raise BadInputError("enough")

    monkeypatch.setattr(compiled_file, "capture", compile_it)
    monkeypatch.setattr(compiled_file, "installed_versions", lambda: {"libtpu": "1"})
    monkeypatch.delenv("LIBTPU_INIT_ARGS", raising=False)
    told: list[str] = []
    with pytest.raises(BadInputError, match="enough"):
        load(step, progress=told.append)
    with pytest.raises(BadInputError, match="enough"):
        mallocgame.optimize(step, progress=told.append, cache=step.parent / "answers")
    assert asked == ["v5e", "v5e"]
    default = "target v5e: the file does not say one, --target NAME for another"
    assert told == [default, f"compiling {step} for v5e"] * 2


def test_a_cache_that_cannot_be_written_is_told(step: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(step))
    with pytest.raises(BadInputError, match="set XDG_CACHE_HOME"):
        load(step, "v5e")


FUNCTION = """
import jax
import jax.numpy as jnp

def step():
    def forward(a):
        return jnp.tanh(a @ a)
    return forward, (jax.ShapeDtypeStruct((256, 256), jnp.float32),)
"""


@pytest.mark.libtpu
def test_a_function_is_taken_as_a_file_is(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, step: Path
) -> None:
    (tmp_path / "own_program.py").write_text(FUNCTION)
    monkeypatch.chdir(tmp_path)
    asked = ("own_program:step", "--target", "v5e")
    told = json.loads(run("inspect", *asked, "--json").out)
    assert (told["module"], told["costs"], told["largest_bytes"]) == ("jit_forward", "log", 256 * 256 * 4)
    budget = ("--compiles", "1", "--time-limit", "2", "--cache", tmp_path / "c")
    assert json.loads(run("solve", *asked, *budget, "--json").out)["confirmed"]
    plan = mallocgame.optimize("own_program:step", target="v5e", compiles=1, time_limit=2, cache=tmp_path / "answers")
    assert plan.confirmed
    assert len(list((tmp_path / "cache" / "mallocgame" / "captures").iterdir())) == 1
    outcome = run("inspect", "own_program:other", "--target", "v5e")
    assert (outcome.code, "has no attribute 'other'" in outcome.error) == (2, True)


@pytest.mark.libtpu
def test_solve_as_typed_is_confirmed(step: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "answer.json"
    command = ("solve", step, "--target", "v5e", "--compiles", "1", "--time-limit", "2", "--cache", tmp_path / "c")
    outcome = run(*command, "--out", out, "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["confirmed"]
    assert document["module"] == "step"
    assert "compiling" in outcome.err
    assert out.is_file()
    assert json.loads(run("inspect", step, "--target", "v5e", "--json").out)["costs"] == "log"
    plan = mallocgame.optimize(str(step), target="v5e", compiles=1, time_limit=2, cache=tmp_path / "answers")
    assert plan.confirmed
