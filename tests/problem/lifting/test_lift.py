"""Small texts after memory space assignment, and the schedules that they were before it."""

from __future__ import annotations

import pytest

from mallocgame.problem.fingerprint import fingerprint
from mallocgame.problem.lifting.lift import Lifted, lift
from mallocgame.problem.lifting.marks import mark_of_msa
from mallocgame.problem.schedule import flatten, scheduled_computations
from mallocgame.problem.schema import Target
from mallocgame.system.errors import BadInputError
from xla_dump_parser import parse_hlo

TARGET = Target("toy", 1, 64 * 4096, 4096, 4096.0, 40960.0, 40960.0, 1.0, 2**34)
SLOW = "f32[32,128]{1,0:T(8,128)}"
FAST = "f32[32,128]{1,0:T(8,128)S(1)}"
PART = "f32[16,128]{1,0:T(8,128)S(1)}"
TURNED = "f32[32,128]{0,1:T(8,128)S(1)}"
SYNC = "u32[]{:S(2)}"
STEP = "s32[]{:T(128)}"
TO_FAST = f"({FAST}, {SLOW}, {SYNC})"
TO_HBM = f"({SLOW}, {FAST}, {SYNC})"
CONCAT = 'custom_call_target="ConcatBitcast"'

LOOP = """
%cond (c: (s32[], f32[32,128], f32[32,128])) -> pred[] {{
  %c = {tuple} parameter(0)
  %n = s32[]{{:T(128)}} get-tuple-element(%c), index=0
  %ten = s32[]{{:T(128)}} constant(10)
  ROOT %less = pred[]{{:T(512)}} compare(%n, %ten), direction=LT
}}

%body (p: (s32[], f32[32,128], f32[32,128])) -> (s32[], f32[32,128], f32[32,128]) {{
  %p = {tuple} parameter(0)
  %i = s32[]{{:T(128)}} get-tuple-element(%p), index=0
  %one = s32[]{{:T(128)}} constant(1)
  %next = s32[]{{:T(128)}} add(%i, %one)
  %state = {state} get-tuple-element(%p), index=1
  %weight = {weight} get-tuple-element(%p), index=2
  %more = {state} add(%state, %weight)
  ROOT %again = {tuple} tuple(%next, %more, %weight)
}}
"""


def text(entry: str, *computations: str, header: str = "") -> str:
    """A scheduled module: ``entry`` is instructions, one a line."""
    body = "\n".join(f"  {line.strip()}" for line in entry.strip().splitlines())
    parts = [
        f"HloModule toy, is_scheduled=true{header}",
        *computations,
        "ENTRY %main () -> f32[32,128] {\n" + body + "\n}",
    ]
    return "\n\n".join(parts) + "\n"


def loop(state: str, weight: str) -> str:
    """A loop that changes a state by a weight."""
    return LOOP.format(tuple=f"({STEP}, {state}, {weight})", state=state, weight=weight)


def lifted(after: str) -> Lifted:
    return lift(parse_hlo(after, "after.hlo"), TARGET)


def lines(found: Lifted) -> list[str]:
    """The entry of a lifted module, an instruction a line, without shapes."""
    return [
        f"{'ROOT ' * step.is_root}{step.name} = {step.opcode}({', '.join(step.operands)})"
        for step in found.module.entry.instructions
    ]


def is_back(after: str, before: str) -> bool:
    return fingerprint(flatten(lifted(after).module)) == fingerprint(flatten(parse_hlo(before)))


PLAIN = f"""
    %w = {SLOW} parameter(1)
    %x = {SLOW} parameter(0)
    %a = {SLOW} negate(%x)
    %b = {SLOW} add(%a, %w)
    ROOT %r = {SLOW} multiply(%b, %a)"""


def test_a_text_before_it_has_no_mark_and_stays_as_it_is() -> None:
    module = parse_hlo(text(PLAIN))
    assert mark_of_msa(scheduled_computations(module), 1) is None
    assert is_back(text(PLAIN), text(PLAIN))
    assert lifted(text(PLAIN)).copies == 0


@pytest.mark.parametrize(
    "line", [f"%a = {FAST} negate(%x)", f'%a = {SLOW} negate(%x), backend_config={{"estimated_cycles":"3"}}']
)
def test_marks(line: str) -> None:
    module = parse_hlo(text(PLAIN.replace(f"%a = {SLOW} negate(%x)", line)))
    found = mark_of_msa(scheduled_computations(module), 1)
    assert found is not None
    assert found.name == "a"


def test_prefetch_and_eviction() -> None:
    after = f"""
        %w = {SLOW} parameter(1)
        %x = {SLOW} parameter(0)
        %start.1 = {TO_FAST} copy-start(%w)
        %a = {FAST} negate(%x)
        %start.2 = {TO_HBM} copy-start(%a)
        %done.1 = {FAST} copy-done(%start.1)
        %b = {FAST} add(%a, %done.1)
        %done.2 = {SLOW} copy-done(%start.2)
        ROOT %r = {SLOW} multiply(%b, %done.2)"""
    assert is_back(text(after), text(PLAIN))
    assert lifted(text(after)).copies == 2


def test_result_written_back() -> None:
    after = (
        PLAIN.replace(f"ROOT %r = {SLOW}", f"%r = {FAST}")
        + f"""
        %start = {TO_HBM} copy-start(%r)
        ROOT %done = {SLOW} copy-done(%start)"""
    )
    assert is_back(text(after), text(PLAIN))


SLICES = """
%half.{n} (h: f32[32,128]) -> f32[16,128] {{
  %h.{n} = {slow} parameter(0)
  ROOT %s.{n} = {part} slice(%h.{n}), slice={{[{n}:{end}], [0:128]}}
}}"""


@pytest.mark.parametrize("sugar", [True, False])
def test_sliced_prefetch(sugar: bool) -> None:
    asynchronous = f"(({SLOW}), {PART}, {SYNC})"
    start, done = ("slice-start", "slice-done") if sugar else ("async-start", "async-done")
    rest = [f"slice={{[{n}:{n + 16}], [0:128]}}" if sugar else f"calls=%half.{n}" for n in (0, 16)]
    after = f"""
        %w = {SLOW} parameter(1)
        %x = {SLOW} parameter(0)
        %start.0 = {asynchronous} {start}(%w), {rest[0]}
        %start.1 = {asynchronous} {start}(%w), {rest[1]}
        %a = {SLOW} negate(%x)
        %done.0 = {PART} {done}(%start.0)
        %done.1 = {PART} {done}(%start.1)
        %whole = {FAST} custom-call(%done.0, %done.1), {CONCAT}
        %b = {SLOW} add(%a, %whole)
        ROOT %r = {SLOW} multiply(%b, %a)"""
    called = [] if sugar else [SLICES.format(n=n, end=n + 16, slow=SLOW, part=PART) for n in (0, 16)]
    assert is_back(text(after, *called), text(PLAIN))


def test_cross_program_prefetch_stands_first_and_comes_again_at_the_end() -> None:
    before = PLAIN.replace(f"%x = {SLOW} parameter(0)", f"%v = {SLOW} parameter(2)").replace(
        f"%w = {SLOW} parameter(1)", f"%x = {SLOW} parameter(0)\n %w = {SLOW} parameter(1)"
    )
    after = f"""
        %w = {SLOW} parameter(1)
        %start = {TO_FAST} copy-start(%w), cross_program_prefetch_index=0
        %x = {SLOW} parameter(0)
        %v = {SLOW} parameter(2)
        %a = {SLOW} negate(%x)
        %done = {FAST} copy-done(%start)
        %b = {SLOW} add(%a, %done)
        %start.1 = {TO_FAST} copy-start(%w)
        ROOT %r = {SLOW} multiply(%b, %a)
        %done.1 = {FAST} copy-done(%start.1)"""
    assert is_back(text(after), text(before))


@pytest.mark.parametrize(
    ("others", "expected"),
    [([3, 1], [3, 2, 1]), ([1, 3, 0], [1, 2, 3, 0]), ([4, 0, 3], [2, 4, 0, 3]), ([0, 1], [0, 1, 2]), ([7], [2, 7])],
)
def test_where_a_parameter_that_is_prefetched_across_programs_belongs(others: list[int], expected: list[int]) -> None:
    rest = "\n".join(f"%p.{number} = {SLOW} parameter({number})" for number in others)
    after = f"""
        %p.2 = {SLOW} parameter(2)
        %start = {TO_FAST} copy-start(%p.2)
        {rest}
        %done = {FAST} copy-done(%start)
        ROOT %r = {SLOW} negate(%done)"""
    assert lines(lifted(text(after)))[:-1] == [f"p.{number} = parameter()" for number in expected]


def test_a_slice_and_a_turned_copy_are_put_back() -> None:
    after = f"""
        %w = {SLOW} parameter(1)
        %x = {SLOW} parameter(0)
        %start.0 = (({SLOW}), {PART}, {SYNC}) slice-start(%w), slice={{[16:32], [0:128]}}
        %start.1 = ({TURNED}, {SLOW}, {SYNC}) copy-start(%x)
        %a = {SLOW} copy(%x)
        %done.0 = {PART} slice-done(%start.0)
        %done.1 = {TURNED} copy-done(%start.1)
        %b = {PART} exponential(%done.0)
        %c = {SLOW} custom-call(%a, %b, %done.1), custom_call_target="mix"
        ROOT %r = {SLOW} multiply(%c, %a)"""
    found = lifted(text(after))
    assert lines(found)[3:7] == [
        "done.0.synchronous = slice(w)",
        "done.1.synchronous = copy(x)",
        "b = exponential(done.0.synchronous)",
        "c = custom-call(a, b, done.1.synchronous)",
    ]
    assert found.restored == ("done.0.synchronous", "done.1.synchronous")
    step = found.module.entry.by_name["done.0.synchronous"]
    assert step.attributes["slice"] == "{[16:32], [0:128]}"


def test_the_compiler_waits_after_what_is_synchronous() -> None:
    after = f"""
        %x = {SLOW} parameter(0)
        %w = {SLOW} parameter(1)
        %gather = (({SLOW}), {SLOW}, {SYNC}) async-start(%x), calls=%there
        %start = (({SLOW}), {PART}, {SYNC}) slice-start(%w), slice={{[16:32], [0:128]}}
        %a = {SLOW} copy(%w)
        %gathered = {SLOW} async-done(%gather)
        %done = {PART} slice-done(%start)
        ROOT %r = {SLOW} custom-call(%gathered, %done, %a), custom_call_target="mix"
        """
    there = f"%there (t: f32[32,128]) -> f32[32,128] {{\n  %t = {SLOW} parameter(0)\n  ROOT %u = {SLOW} negate(%t)\n}}"
    assert lines(lifted(text(after, there)))[3:6] == [
        "a = copy(w)",
        "done.synchronous = slice(w)",
        "gathered = async-done(gather)",
    ]


def test_an_array_that_is_split_between_two_cores_in_fast_memory_is_the_same_array() -> None:
    split = FAST.replace("S(1)", "S(1)SC(1:128)")
    after = PLAIN.replace(
        f"%b = {SLOW} add(%a, %w)",
        f"%start = ({split}, {SLOW}, {SYNC}) copy-start(%w)\n %done = {split} copy-done(%start)\n"
        f" %b = {split} add(%a, %done)",
    )
    assert is_back(text(after), text(PLAIN))


def test_a_bitcast_of_a_copy_stands_after_what_was_copied() -> None:
    """It has a name that the text does not have, so that what it reads counts as being where that is defined."""
    after = f"""
        %x = {SLOW} parameter(0)
        %a = {SLOW} negate(%x)
        %start = {TO_FAST} copy-start(%a)
        %b = {SLOW} exponential(%x)
        %done = {FAST} copy-done(%start)
        %v.1 = f32[4096]{{0:T(1024)S(1)}} bitcast(%done)
        %v.2 = f32[64,64]{{1,0:T(8,128)S(1)}} bitcast(%v.1)
        ROOT %r = {SLOW} custom-call(%v.2, %b), custom_call_target="mix"
        """
    assert lines(lifted(text(after)))[2:] == [
        "v.1.uncopied = bitcast(a)",
        "v.2.uncopied = bitcast(v.1.uncopied)",
        "b = exponential(x)",
        "ROOT r = custom-call(v.2.uncopied, b)",
    ]


def in_loop(state: str, weight: str, around: str) -> str:
    """A loop that starts from a parameter's copy ``%s`` and reads ``%k``."""
    whole = f"({STEP}, {state}, {weight})"
    entry = f"""
        %w = {SLOW} parameter(1)
        %x = {SLOW} parameter(0)
        %zero = {STEP} constant(0)
        %count = {STEP} copy(%zero)
        {around}
        %all = {whole} tuple(%count, %s, %k)
        %while = {whole} while(%all), condition=%cond, body=%body
        %out = {state} get-tuple-element(%while), index=1
        ROOT %r = {SLOW} negate(%out)"""
    return text(entry, loop(state, weight))


def test_what_a_loop_changes_was_copied_and_what_it_reads_was_not() -> None:
    """Without its copy the loop would write to a parameter; the weight needs none."""
    after = in_loop(
        FAST,
        FAST,
        f"""%start.1 = {TO_FAST} copy-start(%x)
        %start.2 = {TO_FAST} copy-start(%w)
        %s = {FAST} copy-done(%start.1)
        %k = {FAST} copy-done(%start.2)""",
    )
    found = lifted(after)
    assert found.restored == ("s.synchronous",)
    assert lines(found)[4:6] == ["s.synchronous = copy(x)", "all = tuple(count, s.synchronous, w)"]


def test_a_copy_that_a_loop_needs_of_what_was_written_back() -> None:
    after = in_loop(
        FAST,
        SLOW,
        f"""%k = {SLOW} exponential(%w)
        %e = {FAST} exponential(%x)
        %start.1 = {TO_HBM} copy-start(%e)
        %done.1 = {SLOW} copy-done(%start.1)
        %start.2 = {TO_FAST} copy-start(%done.1)
        %s = {FAST} copy-done(%start.2)
        %start.3 = {TO_FAST} copy-start(%done.1)""",
    ).replace(
        f"ROOT %r = {SLOW} negate(%out)", f"%done.3 = {FAST} copy-done(%start.3)\n ROOT %r = {SLOW} add(%out, %done.3)"
    )
    found = lifted(after)
    assert found.restored == ("s.synchronous",)
    assert lines(found)[-1] == "ROOT r = add(out, e)"


def test_a_sliced_copy_that_a_loop_needs() -> None:
    after = in_loop(
        FAST,
        SLOW,
        f"""%start.0 = (({SLOW}), {PART}, {SYNC}) slice-start(%x), slice={{[0:16], [0:128]}}
        %start.1 = (({SLOW}), {PART}, {SYNC}) slice-start(%x), slice={{[16:32], [0:128]}}
        %done.0 = {PART} slice-done(%start.0)
        %done.1 = {PART} slice-done(%start.1)
        %s = {FAST} custom-call(%done.0, %done.1), {CONCAT}
        %k = {SLOW} exponential(%w)""",
    )
    assert lines(lifted(after))[4:5] == ["s.synchronous = copy(x)"]


def test_inside_a_loop() -> None:
    body = (
        loop(SLOW, SLOW)
        .replace(
            f"%more = {SLOW} add(%state, %weight)",
            f"%start = {TO_FAST} copy-start(%weight)\n  %done = {FAST} copy-done(%start)\n"
            f"  %more = {FAST} add(%state, %done)\n  %start.1 = {TO_HBM} copy-start(%more)\n"
            f"  %done.1 = {SLOW} copy-done(%start.1)",
        )
        .replace("tuple(%next, %more, %weight)", "tuple(%next, %done.1, %weight)")
    )
    before = in_loop(SLOW, SLOW, f"%s = {SLOW} copy(%x)\n %k = {SLOW} exponential(%w)")
    assert is_back(before.replace(loop(SLOW, SLOW), body), before)


def test_an_element_that_only_carries_hbms_array_through() -> None:
    before = in_loop(SLOW, SLOW, f"%s = {SLOW} copy(%x)\n %k = {SLOW} exponential(%w)")
    narrow, wide = f"({STEP}, {SLOW}, {FAST})", f"({STEP}, {SLOW}, {FAST}, {SLOW})"
    after = in_loop(
        SLOW,
        FAST,
        f"%s = {SLOW} copy(%x)\n %e = {SLOW} exponential(%w)\n %start = {TO_FAST} copy-start(%e)\n"
        f" %k = {FAST} copy-done(%start)",
    ).replace(narrow, wide)
    after = after.replace("tuple(%count, %s, %k)", "tuple(%count, %s, %k, %e)").replace(
        f"  ROOT %again = {wide} tuple(%next, %more, %weight)",
        f"  %kept = {SLOW} get-tuple-element(%p), index=3\n  ROOT %again = {wide} tuple(%next, %more, %weight, %kept)",
    )
    assert is_back(after, before.replace("%k =", "%e =").replace("%k)", "%e)"))


@pytest.mark.parametrize("own", [True, False])
def test_an_element_that_is_copied_anew_at_the_end_of_each_round(own: bool) -> None:
    """The copy in fast memory is changed or given up in the body; HBM's array goes through as one more element."""
    narrow, wide = f"({STEP}, {SLOW}, {FAST})", f"({STEP}, {SLOW}, {FAST}, {SLOW})"
    after = in_loop(
        SLOW,
        FAST,
        f"%s = {SLOW} copy(%x)\n %e = {SLOW} exponential(%w)\n %start = {TO_FAST} copy-start(%e)\n"
        f" %k = {FAST} copy-done(%start)",
    ).replace(narrow, wide)
    after = after.replace("tuple(%count, %s, %k)", "tuple(%count, %s, %k, %e)")
    reads = "%weight" if own else "%again.2"
    again = f"  %kept = {SLOW} get-tuple-element(%p), index=3\n  %start.2 = {TO_FAST} copy-start(%kept)\n"
    again += f"  %again.2 = {FAST} copy-done(%start.2)\n"
    more = f"  %more = {SLOW} add(%state, %weight)\n"
    weight = f"  %weight = {FAST} get-tuple-element(%p), index=2\n"
    assert more in after
    assert weight in after
    after = after.replace(weight, weight if own else "").replace(more, again + more.replace("%weight", reads))
    after = after.replace("tuple(%next, %more, %weight)", "tuple(%next, %more, %again.2, %kept)")
    body = lifted(after).module.computations["body"]
    name = "weight" if own else "kept"
    assert body.by_name["more"].operands == ("state", name)
    assert body.root.operands == ("next", "more", name)
    assert body.by_name[name].attributes["index"] == "2"


def test_views_made_anew_for_each_reader_are_one() -> None:
    after = f"""
        %x = {SLOW} parameter(0)
        %a = ({FAST}, {SLOW}) custom-call(%x), custom_call_target="two"
        %g.1 = {FAST} get-tuple-element(%a), index=0
        %start = {TO_HBM} copy-start(%g.1)
        %g.2 = {FAST} get-tuple-element(%a), index=0
        %v.1 = f32[4096]{{0:T(1024)S(1)}} bitcast(%g.2)
        %b = {SLOW} custom-call(%v.1), custom_call_target="one"
        %done = {SLOW} copy-done(%start)
        %v.2 = f32[4096]{{0:T(1024)}} bitcast(%done)
        ROOT %c = {SLOW} custom-call(%v.2, %b), custom_call_target="one"
        """
    assert lines(lifted(text(after)))[2:] == [
        "g.1 = get-tuple-element(a)",
        "v.1 = bitcast(g.1)",
        "b = custom-call(v.1)",
        "ROOT c = custom-call(v.1, b)",
    ]


def test_a_tuple_that_was_taken_apart_for_one_element() -> None:
    after = f"""
        %x = {SLOW} parameter(0)
        %a = ({FAST}, {SLOW}) custom-call(%x), custom_call_target="two"
        %g.1 = {FAST} get-tuple-element(%a), index=0
        %g.2 = {SLOW} get-tuple-element(%a), index=1
        %start = {TO_HBM} copy-start(%g.1)
        %done = {SLOW} copy-done(%start)
        ROOT %t = ({SLOW}, {SLOW}) tuple(%done, %g.2)"""
    assert lines(lifted(text(after)))[1:] == ["ROOT a = custom-call(x)"]


def test_a_branch() -> None:
    branch = f"""
%yes (y: (f32[32,128])) -> (f32[32,128]) {{
  %y = ({SLOW}) parameter(0)
  %e = {SLOW} get-tuple-element(%y), index=0
  %start = {TO_FAST} copy-start(%e)
  %done = {FAST} copy-done(%start)
  %n = {SLOW} negate(%done)
  ROOT %yes.t = ({SLOW}) tuple(%n)
}}

%no (z: (f32[32,128])) -> (f32[32,128]) {{
  %z = ({SLOW}) parameter(0)
  %f = {SLOW} get-tuple-element(%z), index=0
  %g = {SLOW} exponential(%f)
  ROOT %no.t = ({SLOW}) tuple(%g)
}}"""
    entry = f"""
        %x = {SLOW} parameter(0)
        %p = pred[]{{:T(512)}} parameter(1)
        %a = {SLOW} negate(%x)
        %t = ({SLOW}) tuple(%a)
        %if = ({SLOW}) conditional(%p, %t, %t), true_computation=%yes, false_computation=%no
        ROOT %r = {SLOW} get-tuple-element(%if), index=0"""
    found = lifted(text(entry, branch))
    assert [step.name for step in found.module.computations["yes"].instructions] == ["y", "e", "n", "yes.t"]


def test_a_slice_goes_directly_before_its_first_reader() -> None:
    entry = f"""
        %w = {SLOW} parameter(1)
        %x = {SLOW} parameter(0)
        %start = (({SLOW}), {PART}, {SYNC}) slice-start(%w), slice={{[16:32], [0:128]}}
        %a = {SLOW} negate(%x)
        %done = {PART} slice-done(%start)
        ROOT %r = {SLOW} custom-call(%a, %done), custom_call_target="mix"
        """
    assert lines(lifted(text(entry)))[2:] == [
        "a = negate(x)",
        "done.synchronous = slice(w)",
        "ROOT r = custom-call(a, done.synchronous)",
    ]


REFUSED = {
    "a synchronous dynamic-slice from before .* and the text does not say where: before or after a$": f"""
        %w = {SLOW} parameter(1)
        %x = {SLOW} parameter(0)
        %i = s32[] parameter(2)
        %start = (({SLOW}, s32[]), {PART}, {SYNC}) dynamic-slice-start(%w, %i, %i), dynamic_slice_sizes={{16,128}}
        %a = {SLOW} negate(%x)
        %done = {PART} dynamic-slice-done(%start)
        ROOT %r = {SLOW} custom-call(%a, %done), custom_call_target="mix"
        """,
    "copies from fast memory to fast memory": PLAIN.replace(f"%a = {SLOW}", f"%a = {FAST}").replace(
        "ROOT %r", f"%start = ({FAST}, {FAST}, {SYNC}) copy-start(%a)\n %done = {FAST} copy-done(%start)\n ROOT %r"
    ),
    "joins what are not all slices of one array": PLAIN.replace(
        "ROOT %r", f"%whole = {FAST} custom-call(%a, %b), {CONCAT}\n ROOT %r"
    ),
    "was there before": f"""
        %x = {SLOW} parameter(0)
        %a = {FAST} negate(%x)
        %start.1 = {TO_HBM} copy-start(%a)
        %start.2 = {TO_HBM} copy-start(%a)
        %done.1 = {SLOW} copy-done(%start.1)
        %done.2 = {SLOW} copy-done(%start.2)
        ROOT %t = ({SLOW}, {SLOW}) tuple(%done.1, %done.2)""",
    "the text is of another chip": PLAIN.replace(f"%a = {SLOW}", f"%a = {FAST.replace('S(1)', 'S(3)')}"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refused(reason: str) -> None:
    with pytest.raises(BadInputError, match=reason) as caught:
        lifted(text(REFUSED[reason]))
    assert str(caught.value).startswith("after.hlo:")
    assert "\n" not in str(caught.value)


def test_a_program_that_asks_for_fast_memory_itself() -> None:
    header = f", entry_computation_layout={{({FAST}, {SLOW})->{SLOW}}}"
    with pytest.raises(BadInputError, match="cannot be told apart"):
        lifted(text(PLAIN, header=header))
