"""Replay and read-back of final HLO texts, against seconds and placements found by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.models.replay import Replay, read_back, replay_final, replay_plan
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.validate import validate
from mallocgame.problem.schema import Problem
from mallocgame.system.errors import BadInputError
from tests.models.replay import texts
from tests.models.replay.texts import FAST, SLOW, SYNC, module, problem
from xla_dump_parser import Allocation, ArrayShape, HloModule, ParseError, parse_hlo
from xla_dump_parser.buffer_assignment import AssignedValue

PROBLEM = problem(module(texts.ENTRY), {"s": 5.0})
"""``s`` computes 5 s and needs 2 s of HBM time, so it leaves 3 s idle; all else is bound by memory."""


def stalls(result: Replay) -> dict[str, float]:
    return {row.name: row.stall for row in result.rows if row.stall}


def seconds(result: Replay) -> dict[str, float]:
    return {row.name: row.seconds for row in result.rows if row.seconds}


def test_the_unchanged_schedule_is_everything_in_hbm() -> None:
    final = module(texts.ENTRY)
    result = replay_final(PROBLEM, final, "M")
    assert seconds(result) == {"a": 2.0, "s": 5.0, "n": 8.0, "t": 2.0, "b": 3.0, "r": 3.0}
    assert result.total == replay_plan(PROBLEM, Plan(PROBLEM.fingerprint), "M").total == 23.0
    assert read_back(PROBLEM, final).to_plan() == Plan(PROBLEM.fingerprint)


def test_a_prefetch() -> None:
    result = replay_final(PROBLEM, module(texts.PREFETCHED), "M")
    # a: 1 s from HBM, 0.1 s to fast memory; n: 4 + 4 arrays at a tenth; b: a fast; r: t fast
    expected = {"a": 1.1, "s": 5.0, "n": 0.8, "t": 0.2, "b": 2.1, "r": 2.1}
    assert seconds(result) == pytest.approx(expected)
    assert stalls(result) == pytest.approx({"copy-done": 4.0 - 0.1 - 3.0})
    assert result.total == pytest.approx(sum(expected.values()) + 0.9)
    assert result.missing == ()
    assert result.peak_fast == (1 + 4 + 4) * 4096  # at n: a, w's copy and n


def test_a_prefetch_is_read_back() -> None:
    found = read_back(PROBLEM, module(texts.PREFETCHED))
    assert found.gone == ()
    assert found.fast_definitions == {2, 4, 5}
    assert found.fast_uses == {(1, 1), (2, 0), (4, 0), (5, 0)}
    assert [(copy.tensor, copy.kind, copy.after, copy.before, copy.size) for copy in found.copies] == [
        (1, "prefetch", 1, 4, 16384)
    ]
    assert not found.offsets_known
    plan = found.to_plan()
    assert plan.copies == (Copy(1, "prefetch", 1, 4),)
    assert plan.stays == (Stay(1, 2, 4, 0), Stay(2, 2, 6, 0), Stay(4, 4, 5, 0), Stay(5, 5, 7, 0))
    assert replay_plan(PROBLEM, plan, "M").total == pytest.approx(
        replay_final(PROBLEM, module(texts.PREFETCHED), "M").total
    )


def test_offsets_come_from_the_buffer_assignment() -> None:
    shape = ArrayShape("f32", (8, 128))
    fast = [("copy-start", (0,), 0), ("a", (), 16384), ("n", (), 20480), ("t", (), 36864)]
    values = tuple(
        AssignedValue(n, name, at, False, 1, 4096, offset, shape) for n, (name, at, offset) in enumerate(fast)
    )
    slow = Allocation(1, 4096, 0, None, "", (AssignedValue(9, "t", (), False, 0, 4096, 64, shape),))
    found = read_back(PROBLEM, module(texts.PREFETCHED), (Allocation(0, 65536, 1, None, "", values), slow))
    assert found.offsets_known
    assert {stay.tensor: stay.offset for stay in found.to_plan().stays} == {1: 0, 2: 16384, 4: 20480, 5: 36864}
    assert validate(PROBLEM, found.to_plan()) == ()


def test_model_e_takes_the_texts_own_cycles_and_m_where_there_are_none() -> None:
    result = replay_final(PROBLEM, module(texts.PREFETCHED), "E")
    # a: 3 cycles at 1 s; b: 0 cycles, so M; all others have none
    assert seconds(result) == pytest.approx({"a": 3.0, "s": 5.0, "n": 0.8, "t": 0.2, "b": 2.1, "r": 2.1})
    assert stalls(result) == {}  # a leaves 2 s, s 3 s
    slow = module(texts.PREFETCHED.replace('"3"', '"30"'))
    assert seconds(replay_final(PROBLEM, slow, "E"))["a"] == 30.0
    busy = module(
        texts.ENTRY.replace("negate(%w)", 'negate(%w), backend_config={"window_config":{"estimated_cycles":"5"}}')
    )
    assert seconds(replay_final(PROBLEM, busy, "E"))["n"] == 8.0  # its own bytes take longer than 5 cycles


@pytest.mark.parametrize("final", [module(texts.SLICED_LONG, *texts.WRAPPED), module(texts.SLICED_SHORT)])
def test_slices_of_both_forms_of_the_text(final: HloModule) -> None:
    result = replay_final(PROBLEM, final, "M")
    expected = {"a": 2.0, "s": 5.0, "n": 4.4, "t": 2.0, "b": 3.0, "r": 3.0}
    assert seconds(result) == pytest.approx(expected)
    assert stalls(result) == {"slice-done.1": 1.0}  # s leaves 3 s: the first slice, and half of the second
    assert result.total == pytest.approx(sum(expected.values()) + 1.0)
    assert (result.missing, result.peak_fast) == ((), 16384)
    found = read_back(PROBLEM, final)
    (copy,) = found.copies
    assert (copy.tensor, copy.kind, copy.after, copy.before) == (1, "prefetch", 1, 4)
    assert copy.slices == ((1, 8192), (2, 8192))
    assert (copy.starts, copy.dones) == (("slice-start", "slice-start.1"), ("slice-done", "slice-done.1"))
    assert found.fast_uses == {(1, 1)}


def test_a_slice_that_nothing_waits_for_moves_its_own_bytes_alone() -> None:
    # as in XLA's pipelined loops, where the next iteration waits
    kept = [line for line in texts.SLICED_SHORT.splitlines() if "slice-done" not in line]
    final = module("\n".join(kept).replace("negate(%joined)", "negate(%w)"))
    result = replay_final(PROBLEM, final, "M")
    assert sum("slice-start" in line for line in kept) == 2
    assert stalls(result) == {"r": 1.0}  # 2 s for each half of w, and s leaves 3 s


def test_a_slice_occupies_its_bytes_from_its_own_start() -> None:
    # u is in fast memory between the starts of the two slices, and only then
    pinned = texts.ENTRY.replace("%s =", f"%u = {SLOW} negate(%x)\n  %v = {SLOW} negate(%u)\n  %s =")
    final = texts.SLICED_SHORT.replace(
        "%slice-start.1 =", f"%u = {FAST} negate(%x)\n  %v = {SLOW} negate(%u)\n  %slice-start.1 ="
    )
    result = replay_final(problem(module(pinned)), module(final), "M")
    assert result.peak_fast == 16384  # 8192 of the first slice and 4096 of u, later both slices


def test_a_result_in_the_place_of_slices_takes_no_bytes_of_its_own() -> None:
    update = "dynamic-update-slice({}, %x, %i, %i)"
    index = "  %i = s32[] constant(0)\n"
    before = index + texts.ENTRY.strip("\n").replace("negate(%w)", update.format("%w"))
    final = texts.SLICED_SHORT.replace(f"%n = {texts.SLOW4} negate(%joined)", f"%n = {texts.FAST4} negate(%joined)")
    assert final != texts.SLICED_SHORT
    final = index + final.strip("\n").replace("negate(%joined)", update.format("%joined"))
    result = replay_final(problem(module(before)), module(final), "M")
    assert result.peak_fast == 16384


def test_a_copy_after_a_part_of_a_tuple_that_was_moved_up() -> None:
    parts = [f"  %g{n} = {SLOW} get-tuple-element(%two), index={n}" for n in range(2)]
    lines = [
        f"  %x = {SLOW} parameter(0)",
        f"  %w = {SLOW} parameter(1)",
        f'  %two = ({SLOW}, {SLOW}) custom-call(%x), custom_call_target="two"',
        parts[0],
        f"  %a = {SLOW} negate(%g0)",
        f"  %n = {SLOW} negate(%w)",
        parts[1],
        f"  %b = {SLOW} add(%g1, %n)",
        f"  ROOT %r = {SLOW} add(%a, %b)",
    ]
    start = f"  %copy-start = ({FAST}, {SLOW}, {texts.SYNC}) copy-start(%w)"
    done = f"  %copy-done = {FAST} copy-done(%copy-start)"
    final = [*lines[:4], parts[1], start, lines[4], done, lines[5].replace("%w", "%copy-done"), *lines[7:]]
    (copy,) = read_back(problem(module("\n".join(lines))), module("\n".join(final))).copies
    assert (copy.tensor, copy.after, copy.before) == (1, 3, 5)


def test_an_eviction_and_the_way_back() -> None:
    final = module(texts.EVICTED)
    result = replay_final(PROBLEM, final, "M")
    expected = {"a": 1.1, "s": 5.0, "n": 8.0, "t": 2.0, "b": 2.1, "r": 3.0}
    assert seconds(result) == pytest.approx(expected)
    assert stalls(result) == {"copy-done.1": 1.0}  # n and t leave nothing
    found = read_back(PROBLEM, final)
    assert [(copy.tensor, copy.kind, copy.after, copy.before) for copy in found.copies] == [
        (2, "eviction", 2, 4),
        (2, "prefetch", 3, 6),
    ]
    plan = found.to_plan()
    assert plan.stays == (Stay(2, 2, 3, 0), Stay(2, 4, 6, 0))
    assert validate(PROBLEM, plan) == ()
    assert replay_plan(PROBLEM, plan, "M").total == pytest.approx(result.total)


def test_a_loop() -> None:
    looped = problem(module(texts.LOOP, *texts.LOOP_COMPUTATIONS))
    final = module(texts.LOOP_FINAL, *texts.LOOP_FINAL_COMPUTATIONS)
    result = replay_final(looped, final, "M")
    runs = {row.name: row.runs for row in result.rows}
    assert (runs["d"], runs["less"], runs["r"]) == (3, 3, 1)
    tiny = {row.name: row.seconds for row in result.rows if row.name in ("i.1", "less")}
    assert sum(tiny.values()) < 0.01
    expected = 1.1 + 0.9 + 3 * (1.1 + 1.2 + sum(tiny.values())) + 1.1
    assert stalls(result) == pytest.approx({"copy-done": 0.9})  # a leaves 0.1 s
    assert result.total == pytest.approx(expected)
    found = read_back(looped, final)
    assert found.gone == ("v",)
    names = {tensor.name: tensor.id for tensor in looped.tensors}
    fast = {names[name] for name in ("a", "q{1}", "p{1}", "e", "loop{1}")}
    assert found.fast_definitions == fast
    v0 = looped.tensors[names["v0"]]
    assert {number for tensor, number in found.fast_uses if tensor == v0.id} == set(range(len(v0.uses)))
    (copy,) = found.copies
    assert (copy.tensor, copy.after, copy.before) == (v0.id, 1, 18)  # before the loop, not before the tuple
    assert replay_plan(looped, found.to_plan(), "M").total == pytest.approx(expected)


def test_the_trips_are_the_problems() -> None:
    looped = problem(module(texts.LOOP, *texts.LOOP_COMPUTATIONS))
    often = replace(looped, computations=tuple(replace(c, trips=10 if c.caller else 1) for c in looped.computations))
    result = replay_final(often, module(texts.LOOP, *texts.LOOP_COMPUTATIONS), "M")
    assert {row.runs for row in result.rows} == {1, 10}


def test_a_result_that_is_evicted_at_the_end() -> None:
    evicted = texts.ENTRY.replace(f"ROOT %r = {SLOW} add(%b, %t)", (
        f"%r = {FAST} add(%b, %t)\n  %copy-start = ({SLOW}, {FAST}, {SYNC}) copy-start(%r)\n"
        f"  ROOT %copy-done = {SLOW} copy-done(%copy-start)"
    ))  # fmt: skip
    result = replay_final(PROBLEM, module(evicted), "M")
    assert stalls(result) == {"copy-done": 1.0}
    assert result.total == pytest.approx(22.1 + 1.0)
    (copy,) = read_back(PROBLEM, module(evicted)).copies
    assert (copy.tensor, copy.kind, copy.after, copy.before) == (7, "eviction", 7, 7)


def test_a_root_under_another_name() -> None:
    with_tuple = texts.ENTRY.replace("ROOT %r", "%r") + f"\n  ROOT %both = ({SLOW}, {SLOW}) tuple(%r, %t)"
    before = problem(module(with_tuple))
    final = with_tuple.replace("%both", "%both.1").replace(f"%t = {SLOW}", f"%t = {FAST}")
    final = final.replace("tuple(%r, %t)", "tuple(%r, %copy-done)").replace("  ROOT", (
        f"  %copy-start = ({SLOW}, {FAST}, {SYNC}) copy-start(%t)\n  %copy-done = {SLOW} copy-done(%copy-start)\n  ROOT"
    ))  # fmt: skip
    found = read_back(before, module(final))
    assert found.gone == ("both",)
    assert found.fast_uses == {(5, 0)}  # r reads t in fast memory, the result is the evicted copy
    assert [(copy.tensor, copy.kind) for copy in found.copies] == [(5, "eviction")]


def test_an_unread_prefetch_is_replayed_but_no_part_of_the_plan() -> None:
    dead = (
        texts.ENTRY
        + f"\n  %copy-start = ({FAST}, {SLOW}, {SYNC}) copy-start(%x)\n  %copy-done = {FAST} copy-done(%copy-start)"
    )
    result = replay_final(PROBLEM, module(dead), "M")
    assert stalls(result) == {"copy-done": 1.0}
    found = read_back(PROBLEM, module(dead))
    assert [copy.tensor for copy in found.copies] == [0]
    assert found.to_plan() == Plan(PROBLEM.fingerprint)


def test_a_copy_that_nothing_waits_for_is_waited_for_at_the_end() -> None:
    lost = texts.ENTRY + f"\n  %copy-start = ({FAST}, {SLOW}, {SYNC}) copy-start(%x)"
    assert stalls(replay_final(PROBLEM, module(lost), "M")) == {"copy-start": 1.0}
    (copy,) = read_back(PROBLEM, module(lost)).copies
    assert (copy.after, copy.before, copy.dones) == (7, 7, ())


def test_instructions_without_a_cost_are_named() -> None:
    added = texts.ENTRY.replace("%a =", f"%new = {FAST} copy(%x)\n  %a =").replace("add(%a, %x)", "add(%a, %new)")
    result = replay_final(PROBLEM, module(added), "M")
    assert result.missing == ("new",)
    assert seconds(result)["new"] == pytest.approx(1.1)  # one array from HBM, one to fast memory
    assert {row.name: row.time for row in result.rows}["new"] is None


def test_an_operand_partly_in_fast_memory() -> None:
    twice = problem(module(texts.ENTRY.replace("add(%a, %x)", "add(%a, %a)")))
    evict = f"%copy-start.1 = ({SLOW}, {FAST}, {SYNC}) copy-start(%a)\n  %copy-done.1 = {SLOW} copy-done(%copy-start.1)"
    half = texts.PREFETCHED.replace("add(%a, %x)", "add(%a, %copy-done.1)").replace("%b =", f"{evict}\n  %b =")
    result = replay_final(twice, module(half), "M")
    (use,) = twice.tensors[2].uses
    expected = (use.accessed_bytes / 2 / 10 + use.accessed_bytes / 2) / 4096 + 1.0
    assert seconds(result)["b"] == pytest.approx(expected)
    assert (2, 0) not in read_back(twice, module(half)).fast_uses


def test_a_synchronous_copy_that_has_become_asynchronous() -> None:
    """The copy c of x is gone; what gives its array now is the wait for an asynchronous copy of x."""
    copied = texts.ENTRY.replace("%a =", f"%c = {SLOW} copy(%x)\n  %a =").replace("add(%a, %x)", "add(%a, %c)")
    before = problem(module(copied))
    c = next(tensor.id for tensor in before.tensors if tensor.name == "c")
    final = texts.ENTRY.replace("%a =", f"%copy-start = ({FAST}, {SLOW}, {SYNC}) copy-start(%x)\n  %a =")
    final = final.replace("%b =", f"%copy-done = {FAST} copy-done(%copy-start)\n  %b =")
    final = final.replace("add(%a, %x)", "add(%a, %copy-done)")
    found = read_back(before, module(final))
    assert found.gone == ("c",)
    assert (found.fast_definitions, found.fast_uses) == ({c}, {(c, 0)})
    assert [(copy.tensor, copy.replaces) for copy in found.copies] == [(0, c)]
    plan = found.to_plan()
    assert (plan.copies, [stay.tensor for stay in plan.stays]) == ((), [c])
    assert validate(before, plan) == ()
    result = replay_final(before, module(final), "M")
    assert (result.missing, stalls(result)) == ((), {"copy-done": 1.0})


def test_another_program_is_refused() -> None:
    other = module(f"  ROOT %other = {SLOW} parameter(0)")
    for refused in (lambda: replay_final(PROBLEM, other, "M"), lambda: read_back(PROBLEM, other)):
        with pytest.raises(BadInputError, match="no instruction of toy is in this text"):
            refused()


DAMAGED = (
    (PROBLEM, texts.text(texts.EVICTED)),
    (PROBLEM, texts.text(texts.SLICED_LONG, *texts.WRAPPED)),
    (
        problem(module(texts.LOOP, *texts.LOOP_COMPUTATIONS)),
        texts.text(texts.LOOP_FINAL, *texts.LOOP_FINAL_COMPUTATIONS),
    ),
)


@settings(max_examples=200, deadline=None)
@given(case=st.sampled_from(DAMAGED), place=st.floats(0, 1), put=st.sampled_from(["", "%", "(", "}", "0", ", ", "\n"]))
def test_a_damaged_text_is_replayed_or_refused_in_one_line(case: tuple[Problem, str], place: float, put: str) -> None:
    before, good = case
    position = int(place * (len(good) - 1))
    line = ""
    try:
        final = parse_hlo(good[:position] + put + good[position + 1 :])
        replay_final(before, final, "E")
        read_back(before, final).to_plan()
    except (BadInputError, ParseError) as error:
        line = str(error)
    assert "\n" not in line
