"""What shares a buffer, and until when: asynchronous and in-place operations, calls."""

from __future__ import annotations

import pytest

from mallocgame.problem.build import build_problem
from mallocgame.problem.schema import Problem
from mallocgame.problem.targets import get_target
from xla_dump_parser import parse_hlo

ARRAY = "f32[1024]{0}"


def _problem(lines: str, results: str = ARRAY, before: str = "") -> Problem:
    """A program of two parameters, ``a`` and ``b``; ``x`` and ``y`` are made of them."""
    return build_problem(
        parse_hlo(
            f"HloModule m, is_scheduled=true\n{before}\n"
            f"ENTRY %main (a: f32[1024], b: f32[1024]) -> {results} {{\n"
            f"  %a = {ARRAY} parameter(0)\n  %b = {ARRAY} parameter(1)\n"
            f"  %x = {ARRAY} negate(%a)\n  %y = {ARRAY} negate(%b)\n{lines}\n}}\n"
        ),
        get_target("v5e"),
    )


def _sharing(problem: Problem) -> set[frozenset[str]]:
    """Names of the tensors of each buffer that several share."""
    names = [frozenset(problem.tensors[id].name for id in group.tensors) for group in problem.groups]
    return {group for group in names if len(group) > 1}


@pytest.mark.parametrize(
    ("lines", "shared"),
    [
        (f"  ROOT %r = {ARRAY} set-dimension-size(%x, %n), dimensions={{0}}", {"x", "r"}),
        (f"  ROOT %r = {ARRAY} ragged-all-to-all(%x, %y, %n, %n, %n, %n), channel_id=1", {"y", "r"}),
        (f"  ROOT %r = {ARRAY} collective-permute(%x, %y, %n, %n), channel_id=1", {"y", "r"}),
        (
            f"  %s = (({ARRAY}, {ARRAY}, s32[], s32[]), {ARRAY}, u32[]) dynamic-update-slice-start(%x, %y, %n)\n"
            f"  ROOT %r = {ARRAY} dynamic-update-slice-done(%s)",
            {"x", "s{1}"},
        ),
        (
            f"  %s = (({ARRAY}), {ARRAY}, u32[]) custom-call-start(%x), "
            "output_to_operand_aliasing={{1}: (0, {})}\n"
            f"  ROOT %r = {ARRAY} custom-call-done(%s)",
            {"x", "s{1}"},
        ),
    ],
    ids=["set-dimension-size", "ragged-all-to-all", "collective-permute", "started", "stated"],
)
def test_updated_in_place(lines: str, shared: set[str]) -> None:
    assert _sharing(_problem(f"  %n = s32[] constant(0)\n{lines}")) == {frozenset(shared)}


def test_tuples_permuted_in_place() -> None:
    """Element i of the second operand is element i of the result."""
    pair = f"({ARRAY}, {ARRAY})"
    lines = (
        f"  %n = s32[] constant(0)\n  %p = {ARRAY} exponential(%a)\n  %q = {ARRAY} exponential(%b)\n"
        f"  %from = {pair} tuple(%x, %y)\n  %to = {pair} tuple(%p, %q)\n"
        f"  ROOT %r = {pair} collective-permute(%from, %to, %n, %n), channel_id=1"
    )
    assert _sharing(_problem(lines, pair)) == {frozenset({"p", "r{0}"}), frozenset({"q", "r{1}"})}


@pytest.mark.parametrize("opcode", ["all-gather", "collective-permute"])
def test_a_start_of_several_operands_passes_each_on(opcode: str) -> None:
    """Both operands are waited for: they live until the wait, and are no new tensors of the start."""
    pair = f"({ARRAY}, {ARRAY})"
    lines = (
        f"  %s = ({pair}, {pair}) {opcode}-start(%x, %y), channel_id=1\n"
        f"  %k = {ARRAY} negate(%a)\n  ROOT %r = {pair} {opcode}-done(%s)"
    )
    problem = _problem(lines, pair)
    assert [tensor.name for tensor in problem.tensors] == ["a", "b", "x", "y", "s{1,0}", "s{1,1}", "k"]
    lives = {tensor.name: tensor.live for tensor in problem.tensors}
    assert (lives["x"], lives["y"]) == ((2, 6), (3, 6))


def test_what_a_call_reads_lives_until_the_callee_has_read_it() -> None:
    """HloLiveRange leaves out a call's uses: those in what it calls count."""
    callee = (
        f"%f (p: f32[1024]) -> f32[1024] {{\n  %p = {ARRAY} parameter(0)\n  %n = {ARRAY} negate(%p)\n"
        f"  %e = {ARRAY} exponential(%n)\n  ROOT %r = {ARRAY} negate(%e)\n}}\n"
    )
    problem = _problem(f"  ROOT %c = {ARRAY} call(%x), to_apply=%f", before=callee)
    names = [instruction.name for instruction in problem.instructions]
    assert names == ["a", "b", "x", "y", "p", "n", "e", "r", "c"]
    (read,) = (tensor for tensor in problem.tensors if tensor.name == "x")
    assert (read.live, [use.time for use in read.uses]) == ((2, 5), [5])
