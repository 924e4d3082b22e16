"""Captures have the flags and settings that the program was compiled with, and say why there is nothing to plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from mallocgame.compiler.capturing import capture, keep, recapture
from mallocgame.compiler.child import Compiled, Limits, Request
from mallocgame.compiler.confirm import confirm
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.system.errors import CompilerRefusedError
from tests.bench.scan import compiled
from tests.compiler.models import DOTS

FLAGS = ("--xla_a", "-1")
PLAIN = compiled(Request("v5e:1x1", lowered="module {}"), 150_000)


def test_flags_and_settings_are_kept_and_compiled_with_again() -> None:
    asked: list[Request] = []

    def compile(request: Request, limits: Limits | None = None) -> Compiled:
        asked.append(request)
        return replace(PLAIN, own_options={} if request.lowered else {"optimization_level": "29", "xla_b": "1"})

    found = capture("m:f", None, "v5e", options={"xla_b": "2"}, init_args=FLAGS, compile=compile)
    assert found.options == {"optimization_level": "29", "xla_b": "2"}
    assert found.init_args == FLAGS
    assert recapture(found, found.options, compile=compile).init_args == FLAGS
    confirm(found, "msa off", {"xla_msa_enable": "false"}, compile)
    assert [request.init_args for request in asked] == [FLAGS] * 3
    assert asked[1].options == found.options


@pytest.fixture
def at_o3() -> Iterator[None]:
    """In this process JAX is set to optimization level O3."""
    jax.config.update("jax_optimization_level", "O3")
    yield
    jax.config.update("jax_optimization_level", "UNKNOWN")


@pytest.mark.usefixtures("at_o3")
def test_settings_of_this_process_are_beneath_options_of_jit_and_those_asked_for(tmp_path: Path) -> None:
    asked: list[Request] = []

    def compile(request: Request, limits: Limits | None = None) -> Compiled:
        asked.append(request)
        return PLAIN

    split = f"--{SCOPED_VMEM}=1"
    plain, own = jax.jit(jnp.tanh), jax.jit(jnp.tanh, compiler_options={SCOPED_VMEM: 2, "optimization_level": 29})
    shape = jax.ShapeDtypeStruct((8,), jnp.float32)
    path = tmp_path / "m.mlir"
    for program, args, options, expected in (
        (plain, (shape,), {}, {SCOPED_VMEM: "1", "optimization_level": "39"}),
        (own.trace(shape), None, {}, {SCOPED_VMEM: "2", "optimization_level": "29"}),
        (own, (shape,), {SCOPED_VMEM: "3"}, {SCOPED_VMEM: "3", "optimization_level": "29"}),
        (str(path), None, {"optimization_level": "29"}, {SCOPED_VMEM: "1", "optimization_level": "29"}),
        (str(path), None, {}, {SCOPED_VMEM: "1", "optimization_level": "39"}),
    ):
        found = capture(program, args, "v5e", options=options, init_args=(split,), compile=compile)
        assert found.options == expected
        assert (found.init_args, asked[-1].init_args) == ((split,), (split,))
        assert {SCOPED_VMEM: "1", **asked[-1].options} == expected


@pytest.mark.parametrize(
    ("options", "init_args", "words"),
    [
        ({"optimization_level": "19"}, (), "at optimization levels O0 and O1 the compiler assigns no memory space"),
        ({"xla_msa_enable": "false"}, (), "the program is compiled with xla_msa_enable, and"),
        ({}, ("-xla_msa_enable", "false"), "the program is compiled with xla_msa_enable, and"),
        ({"optimization_level": "29"}, FLAGS, "this libtpu does not log its schedule and costs; install"),
    ],
)
def test_why_there_is_nothing_to_plan(options: Mapping[str, str], init_args: tuple[str, ...], words: str) -> None:
    with pytest.raises(CompilerRefusedError, match=words) as caught:
        keep(replace(PLAIN, log=""), "v5e", "v5e:1x1", "f", options, init_args)
    assert "\n" not in str(caught.value)


@pytest.mark.libtpu
def test_settings_and_flags_of_the_environment_with_a_module_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.mlir"
    path.write_text(DOTS)
    monkeypatch.setenv("JAX_OPTIMIZATION_LEVEL", "O3")
    flags = (f"-{SCOPED_VMEM}", "20000", "--noxla_jf_conv_output_fusion")
    found = capture(str(path), None, "v5e", init_args=flags)
    assert found.options == {"optimization_level": "39", SCOPED_VMEM: "20000"}
    again = recapture(found, found.options)
    assert (again.schedule, again.options, again.init_args) == (found.schedule, found.options, flags)
    monkeypatch.setenv("JAX_OPTIMIZATION_LEVEL", "O1")
    with pytest.raises(CompilerRefusedError, match="at optimization levels O0 and O1"):
        capture(str(path), None, "v5e")


@pytest.mark.libtpu
def test_settings_that_a_function_comes_with() -> None:
    """The function's own module sets JAX's optimization level."""
    with pytest.raises(CompilerRefusedError, match="at optimization levels O0 and O1"):
        capture("tests.compiler.models:at_o1", None, "v5e")
