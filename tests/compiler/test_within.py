"""Flags of bounded length: what of a plan stays, and where flags go that no string of the environment can hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame import api
from mallocgame.compiler.child import QUIET_VMODULE, Request, compile_in_child
from mallocgame.compiler.export.formats import WRITERS, environment_bytes, to_flag_file, to_libtpu_init_args
from mallocgame.compiler.export.options import compiler_options
from mallocgame.compiler.export.within import within
from mallocgame.models.replay import replay_plan
from mallocgame.plan.named_plan import NamedPlan, in_hbm, name_plan
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.plan_file import save_plan
from mallocgame.solvers import solve
from mallocgame.system.errors import BadInputError
from tests.compiler.plans import MIB, plan, tensor, use
from workloads.problems import load


def three_weights() -> NamedPlan:
    """One read once, one read three times, one of twice the size read twice; each is copied once."""
    reads = [("a", 1, MIB), ("b", 3, MIB), ("c", 2, 2 * MIB)]
    tensors, stays, copies = [], [], []
    for id, (name, count, size) in enumerate(reads):
        uses = [use(f"{name}.{number}", True, 10 + id if number == 0 else None) for number in range(count)]
        uses = [replace(one, time=20 + id + 3 * number) for number, one in enumerate(uses)]
        tensors.append(tensor(id, f"w.{name}", uses, size=size))
        stays.append(Stay(id, 11 + id, uses[-1].time, 2 * MIB * id))
        copies.append(Copy(id, "prefetch", 10 + id, uses[0].time))
    return replace(plan(tensors, stays, copies), tiers=((0, 1, 2),))


def test_what_saves_least_for_its_bytes_goes_first() -> None:
    """Saved are 0, 2 and 2 MiB; the overrides of a prefetch are about as long."""
    named = three_weights()
    whole = environment_bytes(compiler_options(named))
    assert within(named, whole) == (named, compiler_options(named), 0)
    part = within(named, whole - 1)
    assert part.left_out == 1
    assert [one.is_fast for one in part.named.tensors] == [False, True, True]
    assert part.options == compiler_options(part.named)
    assert environment_bytes(part.options) <= whole - 1


def test_not_even_everything_in_hbm_fits() -> None:
    named = three_weights()
    nothing = environment_bytes(compiler_options(in_hbm(named, [0, 1, 2])))
    assert within(named, nothing).left_out == 3
    with pytest.raises(BadInputError, match=f"can be told in {nothing - 1} bytes: that takes {nothing}"):
        within(named, nothing - 1)


def test_half_of_the_bytes_keep_most_of_the_gain() -> None:
    problem = load("convnext-t-v4").problem
    named = name_plan(problem, solve(problem, solver="local", seed=0, max_steps=2000).plan, solver="local")
    whole = environment_bytes(compiler_options(named))
    part = within(named, whole // 2)
    assert environment_bytes(part.options) <= whole // 2
    hbm, all_of_it, some = (
        replay_plan(problem, one, "M").total for one in (Plan(problem.fingerprint), named.plan, part.named.plan)
    )
    assert hbm - some > 0.9 * (hbm - all_of_it)


def test_export_within_bytes(tmp_path: Path) -> None:
    named, path, told = three_weights(), tmp_path / "plan.json", list[str]()
    save_plan(named, path)
    whole = environment_bytes(compiler_options(named))
    assert api.export(path, max_bytes=whole, progress=told.append) == api.export(path)
    assert told == []
    options = json.loads(api.export(path, max_bytes=whole - 1, progress=told.append))
    assert environment_bytes(options) < whole
    assert told == [f"left 1 alias groups in HBM for {whole - 1} bytes; what is left is not confirmed"]


def test_a_flag_file_has_a_flag_a_line() -> None:
    named = three_weights()
    lines = to_flag_file(named).splitlines()
    assert dict(line.removeprefix("--").split("=", 1) for line in lines) == compiler_options(named)
    assert WRITERS["libtpu-flag-file"] is to_flag_file


@pytest.mark.parametrize(("more", "told"), [(0, False), (1, True)])
def test_flags_that_come_near_what_linux_takes_say_so(more: int, told: bool) -> None:
    """From 96 KiB on; the line that sets them stays a shell command."""
    text = to_libtpu_init_args({"xla_a": "1" * (98_304 - len("LIBTPU_INIT_ARGS=--xla_a=") - 1 + more)})
    comment = "# LIBTPU_INIT_ARGS has 98305 bytes, and Linux starts no process with a string of more than 131072; "
    assert text.startswith(comment if told else "export")
    assert text.count("\n") == 1 + told
    if told:
        for instead in ("--flagfile=FILE", "compiler-options", "compile_xla_flags", "--max-bytes N"):
            assert instead in text.splitlines()[0]


@pytest.mark.libtpu
def test_libtpu_reads_a_file_longer_than_any_string_of_the_environment(tmp_path: Path) -> None:
    """The last line switches memory space assignment off: nothing is in fast memory, as 140,000 bytes before said."""
    filler = ",".join(
        f'{{hlo_position_matcher{{instruction_name_regex:"no{number}"}},keep_in_default_memory{{}}}}'
        for number in range(2000)
    )
    options = {"xla_tpu_msa_tensor_overrides": f"overrides:[{filler}]", "xla_msa_enable": "false"}
    assert environment_bytes(options) > 131_072
    file = tmp_path / "flags"
    file.write_text(to_flag_file(options))
    found = [
        compile_in_child(
            Request("v5e:1x1", function="tests.compiler.models:layers", init_args=arguments, vmodule=QUIET_VMODULE)
        ).final.count("S(1)")
        for arguments in ((), (f"--flagfile={file}",))
    ]
    assert found[0] > 0
    assert found[1] == 0
