"""What shares a buffer, and until when: asynchronous and in-place operations, calls."""

from __future__ import annotations

import pytest

from mallocgame.problem.build import build_problem
from mallocgame.problem.dataflow import analyse
from mallocgame.problem.liveness import live_ranges
from mallocgame.problem.schedule import flatten
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


def _ranges(text: str) -> dict[str, tuple[int, int]]:
    """Live range of each value of the schedule in a text, by instruction and index."""
    module = parse_hlo(text)
    schedule = flatten(module)
    dataflow = analyse(schedule, "text")
    names = [
        schedule.steps[value.time].name + ("{" + ",".join(map(str, value.index)) + "}" if value.index else "")
        for value in dataflow.values
    ]
    return dict(zip(names, live_ranges(schedule, dataflow, module), strict=True))


SAME_PLACE = "output_to_operand_aliasing={{2,0}: (0, {2,0})}"

OFFLOADED = f"""HloModule m, is_scheduled=true
%inside (p: f32[1024], q: f32[1024]) -> f32[1024] {{
  %p = {ARRAY} parameter(0)
  %q = {ARRAY} parameter(1)
  ROOT %g = {ARRAY} custom-call(%p, %q), custom_call_target="lookup"
}}, execution_thread="sparsecore"

ENTRY %main (a: f32[1024], b: f32[1024]) -> (f32[1024], f32[1024]) {{
  %a = {ARRAY} parameter(0)
  %s = ((), (), (s32[64]{{0}}, s32[25]{{0}})) async-start(), async_execution_thread="sparsecore", calls=%inside
  %x = {ARRAY} negate(%a)
  %b = {ARRAY} parameter(1)
  %u = (({ARRAY}, {ARRAY}), {ARRAY}, (s32[64]{{0}})) async-update(%s, %b, %x), {SAME_PLACE}
  %k = {ARRAY} exponential(%b)
  %d = {ARRAY} async-done(%u)
  %y = {ARRAY} add(%d, %k)
  ROOT %r = ({ARRAY}, {ARRAY}) tuple(%y, %k)
}}
"""
"""As the v5p and v6e compilers offload a gather: the operands come with the update, which has contexts of its own."""


def test_an_update_has_contexts_in_the_buffers_of_the_start() -> None:
    """As in XLA's dumps of such a gather: the start's contexts end there, and the first goes on in its place."""
    problem = build_problem(parse_hlo(OFFLOADED), get_target("v5p"))
    names = [step.name for step in problem.instructions]
    assert names == ["a", "s", "x", "b", "p", "q", "g", "u", "k", "d", "y", "r"]
    assert _sharing(problem) == {frozenset({"s{2,0}", "u{2,0}"})}
    ranges = _ranges(OFFLOADED)
    assert (ranges["s{2,0}"], ranges["s{2,1}"], ranges["u{2,0}"]) == ((1, 7), (1, 7), (7, 9))


def test_what_is_made_in_an_asynchronous_operation_lives_until_its_done() -> None:
    """The result of the offloaded gather, made at 6, is there from then on (its start is at 1) until its last use."""
    ranges = _ranges(OFFLOADED)
    assert (ranges["g"], ranges["x"], ranges["y"]) == ((6, 10), (2, 9), (10, 12))


def test_what_is_made_in_an_asynchronous_operation_begins_with_its_start() -> None:
    """What it calls comes before the start in time: its values are there from the start on, all until the done."""
    text = (
        "HloModule m, is_scheduled=true\n"
        f"%f (p: f32[1024]) -> f32[1024] {{\n  %p = {ARRAY} parameter(0)\n  %n = {ARRAY} negate(%p)\n"
        f"  ROOT %e = {ARRAY} exponential(%n)\n}}\n"
        f"ENTRY %main (a: f32[1024]) -> f32[1024] {{\n  %a = {ARRAY} parameter(0)\n"
        f"  %s = (({ARRAY}), {ARRAY}, u32[]) async-start(%a), calls=%f\n  %k = {ARRAY} negate(%a)\n"
        f"  %d = {ARRAY} async-done(%s)\n  ROOT %r = {ARRAY} add(%d, %k)\n}}\n"
    )
    ranges = _ranges(text)  # times: a, p, n, e, s, k, d, r
    assert (ranges["n"], ranges["e"], ranges["s{2}"]) == ((4, 6), (4, 7), (4, 6))


def test_a_root_uses_only_the_part_of_a_tuple_that_it_takes() -> None:
    """The loop's counter, which the root leaves behind, ends with the loop, as in XLA's dumps of such loops."""
    pair = f"(s32[], {ARRAY})"
    text = (
        "HloModule m, is_scheduled=true\n"
        f"%body (p: {pair}) -> {pair} {{\n  %p = {pair} parameter(0)\n  %j = s32[] get-tuple-element(%p), index=0\n"
        f"  %x = {ARRAY} get-tuple-element(%p), index=1\n  %n = s32[] negate(%j)\n  %y = {ARRAY} negate(%x)\n"
        f"  ROOT %o = {pair} tuple(%n, %y)\n}}\n"
        f"%test (q: {pair}) -> pred[] {{\n  %q = {pair} parameter(0)\n  %i = s32[] get-tuple-element(%q), index=0\n"
        "  ROOT %l = pred[] compare(%i, %i), direction=LT\n}\n"
        f"ENTRY %main (a: f32[1024]) -> f32[1024] {{\n  %a = {ARRAY} parameter(0)\n  %c = s32[] constant(0)\n"
        f"  %t = {pair} tuple(%c, %a)\n  %w = {pair} while(%t), condition=%test, body=%body\n"
        f"  ROOT %r = {ARRAY} get-tuple-element(%w), index=1\n}}\n"
    )
    ranges = _ranges(text)  # times: a, c, t; q, i, l; p, j, x, n, y, o; w, r
    assert (ranges["w{0}"], ranges["w{1}"]) == ((12, 12), (12, 14))
