"""Captures have the flags and settings that the program was compiled with, and say why there is nothing to plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from mallocgame.compiler.capturing import capture, keep, recapture
from mallocgame.compiler.child import Compiled, Limits, Request
from mallocgame.compiler.confirm import confirm
from mallocgame.system.errors import CompilerRefusedError
from tests.bench.scan import compiled

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
def test_settings_that_a_function_comes_with() -> None:
    """The function's own module sets JAX's optimization level."""
    with pytest.raises(CompilerRefusedError, match="at optimization levels O0 and O1"):
        capture("tests.compiler.models:at_o1", None, "v5e")
