"""The findings: programs that trace, plans that load, and the smallest compiled anew."""

import importlib
import math

import pytest

import workloads
from benchmarks.compiler.findings import FINDINGS, Finding, main, same_versions
from mallocgame.compiler.export.options import compiler_options
from mallocgame.plan.plan_file import load_plan

MIB = 2**20


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("loop-weight", (64, 2048)),
        ("late-weights", (8, 2048)),
        ("cross-program", (8, 6656)),
        ("greedy-order", (8, 6656)),
        ("late-state", ()),
        ("conv-kernel", (8, 256, 256, 64)),
    ],
)
def test_programs_trace(name: str, result: tuple[int, ...]) -> None:
    import jax

    module, function = find(name).program.split(":")
    program, arguments = getattr(importlib.import_module(module), function)()
    assert jax.eval_shape(program, *arguments).shape == result


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.name)
def test_plans_load_and_are_for_their_program(finding: Finding) -> None:
    import jax

    plan = load_plan(finding.plan)
    module, function = finding.program.split(":")
    arguments = jax.tree.leaves(getattr(importlib.import_module(module), function)()[1])
    smallest = sorted(math.prod(argument.shape) * argument.dtype.itemsize for argument in arguments)
    padded = sorted(tensor.size for tensor in plan.tensors)
    assert plan.target == finding.target
    assert all(any(size >= bytes for size in padded) for bytes in smallest)
    assert compiler_options(plan)["xla_msa_max_cross_program_prefetches"] == "0"


def test_the_plans_do_what_the_text_says() -> None:
    loop = load_plan(find("loop-weight").plan)
    assert [loop.tensors[copy.tensor].size for copy in loop.plan.copies] == [8 * MIB]
    early = load_plan(find("late-weights").plan)
    product = max(use.time for tensor in early.tensors for use in tensor.uses if tensor.instruction == "a.1")
    assert [early.tensors[copy.tensor].size for copy in early.plan.copies] == [8 * MIB] * 8
    assert all(copy.after < product for copy in early.plan.copies)
    for name, copies in (("cross-program", 2), ("greedy-order", 4)):
        plan = load_plan(find(name).plan)
        assert [plan.tensors[copy.tensor].size for copy in plan.plan.copies] == [3584 * 6656 * 2] * copies
    state = load_plan(find("late-state").plan)
    assert not state.plan.copies
    assert max(state.tensors[stay.tensor].size for stay in state.plan.stays) == 36 * MIB
    kernel = load_plan(find("conv-kernel").plan)
    assert not kernel.plan.fast_uses
    assert not kernel.plan.fast_definitions


def test_they_are_no_part_of_the_benchmark() -> None:
    assert not {finding.name for finding in FINDINGS} & set(workloads.names())


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["nothing"])
    assert "unknown finding 'nothing'; known: loop-weight" in capsys.readouterr().err


@pytest.mark.libtpu
def test_the_smallest_is_still_better(capsys: pytest.CaptureFixture[str]) -> None:
    if not same_versions():
        pytest.skip("the plan is for another version of the compiler")
    assert main(["loop-weight"]) == 0
    default, plan = (line for line in capsys.readouterr().out.splitlines() if " us (stall" in line)
    assert default.split()[:2] == ["XLA's", "default"]
    assert "plan, honoured 37/37" in plan
    assert plan.endswith("  better")


def find(name: str) -> Finding:
    return next(finding for finding in FINDINGS if finding.name == name)
