"""The problem of small texts whose answer can be told by hand, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.problem.build import build_problem
from mallocgame.problem.phis import resolve_phis
from mallocgame.problem.schema import Problem
from mallocgame.problem.targets import get_target
from mallocgame.system.errors import BadInputError
from tests.problem.captured import DONATED, LSTM, SCAN
from xla_dump_parser import ParseError, parse_hlo

V5E = get_target("v5e")

LOOP = """HloModule m, is_scheduled=true

%body (p: (s32[], f32[1024], f32[1024])) -> (s32[], f32[1024], f32[1024]) {
  %p = (s32[], f32[1024]{0}, f32[1024]{0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %one = s32[] constant(STEP)
  %next = s32[] add(%i, %one)
  %a = f32[1024]{0} get-tuple-element(%p), index=1
  %w = f32[1024]{0} get-tuple-element(%p), index=2
  %sum = f32[1024]{0} add(%a, %w)
  ROOT %out = (s32[], f32[1024]{0}, f32[1024]{0}) tuple(%next, %sum, %w)
}

%condition (q: (s32[], f32[1024], f32[1024])) -> pred[] {
  %q = (s32[], f32[1024]{0}, f32[1024]{0}) parameter(0)
  %j = s32[] get-tuple-element(%q), index=0
  %bound = s32[] constant(BOUND)
  ROOT %less = pred[] compare(%j, %bound), direction=DIRECTION
}

ENTRY %main (x: f32[1024], y: f32[1024]) -> f32[1024] {
  %x = f32[1024]{0} parameter(0)
  %y = f32[1024]{0} parameter(1)
  %start = s32[] constant(START)
  %copy = f32[1024]{0} copy(%x)
  %init = (s32[], f32[1024]{0}, f32[1024]{0}) tuple(%start, %copy, %y)
  %loop = (s32[], f32[1024]{0}, f32[1024]{0}) while(%init), condition=%condition, body=%bodyCONFIG
  %got = f32[1024]{0} get-tuple-element(%loop), index=1
  %neg = f32[1024]{0} negate(%got)
  ROOT %res = f32[1024]{0} add(%neg, %y)
}
"""


def _loop(start: int = 0, step: int = 1, bound: int = 7, direction: str = "LT", config: str = "") -> str:
    words = {"START": start, "STEP": step, "BOUND": bound, "DIRECTION": direction, "CONFIG": config}
    return re.sub("START|STEP|BOUND|DIRECTION|CONFIG", lambda found: str(words[found[0]]), LOOP)


def _problem(text: str) -> Problem:
    return build_problem(parse_hlo(text), V5E)


def _refusal(text: str) -> str:
    """Why a text is refused; empty where it is taken."""
    try:
        _problem(text)
    except (BadInputError, ParseError) as error:
        return str(error)
    return ""


def test_a_loop() -> None:
    problem = _problem(_loop())
    assert [step.name for step in problem.instructions] == [
        *("x", "y", "start", "copy", "init"),
        *("q", "j", "bound", "less"),
        *("p", "i", "one", "next", "a", "w", "sum", "out"),
        *("loop", "got", "neg", "res"),
    ]
    assert [(c.name, c.start, c.end, c.kind, c.caller, c.trips) for c in problem.computations] == [
        ("main", 0, 20, "entry", None, 1),
        ("condition", 5, 8, "condition", 17, 7),
        ("body", 9, 16, "body", 17, 7),
    ]
    tensors = {tensor.name: tensor for tensor in problem.tensors}
    carry = problem.groups[tensors["copy"].group].tensors
    assert {problem.tensors[member].name for member in carry} == {"copy", "q{1}", "p{1}", "sum", "loop{1}"}
    weight = tensors["y"]  # the same value inside and outside the loop, no phi
    assert "p{2}" not in tensors
    # In the body from its parameter on; for the loop from the definition on, after it from the loop on; not by the
    # body's root.
    assert [(use.time, use.copy_after) for use in weight.uses] == [(15, 9), (16, None), (17, 1), (20, 17)]
    assert weight.hbm_definition == "entry parameter"
    assert weight.live == (0, 20)
    assert tensors["res"].hbm_definition == "entry result"
    assert tensors["start"].fixed == "scalar"
    assert tensors["copy"].size == 4096
    assert [problem.instructions[time].free for time in (3, 4, 9, 15, 17)] == [False, True, True, False, True]


@pytest.mark.parametrize(
    ("made", "starts"),
    [
        ("  %k = f32[1024]{0} parameter(2)\n", [(16, 10), (17, None), (18, 4), (21, 18)]),
        # Its first use is the loop's: kept in HBM there, it is kept there for good.
        ("  %k = f32[1024]{0} negate(%y)\n", [(16, 10), (17, None), (18, 4), (21, None)]),
        # A use before makes the loop one like any other.
        (
            "  %k = f32[1024]{0} negate(%y)\n  %s = f32[1024]{0} sine(%k)\n",
            [(5, 4), (17, 11), (18, None), (19, 4), (22, 19)],
        ),
    ],
    ids=["parameter", "product", "product with a use before"],
)
def test_prefetches_around_a_loop(made: str, starts: list[tuple[int, int | None]]) -> None:
    """After a loop that reads a tensor, copies of it start after the loop."""
    copy, head = "  %copy = f32[1024]{0} copy(%x)\n", "(x: f32[1024], y: f32[1024])"
    text = _loop().replace(copy, copy + made).replace("tuple(%start, %copy, %y)", "tuple(%start, %copy, %k)")
    text = text.replace("add(%neg, %y)", "add(%neg, %k)")
    problem = _problem(text.replace(head, head[:-1] + ", k: f32[1024])") if "parameter" in made else text)
    (tensor,) = (tensor for tensor in problem.tensors if tensor.name == "k")
    assert [(use.time, use.copy_after) for use in tensor.uses] == starts


@pytest.mark.parametrize("through", ["a{1}", "a bitcast"])
def test_what_a_loops_condition_reads_is_carried_in_hbm(through: str) -> None:
    """Only its positions at the loop: what enters it may be elsewhere before. The condition's own arrays are free."""
    read = {
        "a{1}": "  %b = f32[1024]{0} get-tuple-element(%q), index=1\n",
        "a bitcast": ("  %c = f32[1024]{0} get-tuple-element(%q), index=1\n  %b = f32[1024]{0} bitcast(%c)\n"),
    }[through]
    condition = (
        "  %j = s32[] get-tuple-element(%q), index=0\n"
        f"{read}"
        "  %own = f32[1024]{0} negate(%b)\n"
        "  %size = f32[1024]{0} abs(%own)\n"
    )
    problem = _problem(_loop().replace("  %j = s32[] get-tuple-element(%q), index=0\n", condition))
    reasons = {tensor.name: tensor.hbm_definition for tensor in problem.tensors if tensor.size >= 4096}
    assert reasons == {
        **{"x": "entry parameter", "y": "entry parameter", "neg": None, "res": "entry result"},
        **dict.fromkeys(("q{1}", "p{1}", "loop{1}"), "read by its loop's condition"),
        **dict.fromkeys(("copy", "sum", "own"), None),
        "size": "never read",
    }


def test_what_nothing_reads_is_not_put_into_fast_memory() -> None:
    problem = _problem(
        """HloModule m, is_scheduled=true

%fused (p: f32[1024]) -> (f32[1024], f32[2048]) {
  %p = f32[1024]{0} parameter(0)
  %n = f32[1024]{0} negate(%p)
  %b = f32[2048]{0} broadcast(%p), dimensions={0}
  ROOT %t = (f32[1024]{0}, f32[2048]{0}) tuple(%n, %b)
}

ENTRY %main (x: f32[1024]) -> f32[1024] {
  %x = f32[1024]{0} parameter(0)
  %both = (f32[1024]{0}, f32[2048]{0}) fusion(%x), kind=kLoop, calls=%fused
  %first = f32[1024]{0} get-tuple-element(%both), index=0
  ROOT %res = f32[1024]{0} add(%first, %first)
}
"""
    )
    reasons = {tensor.name: tensor.hbm_definition for tensor in problem.tensors}
    assert reasons == {"x": "entry parameter", "both{0}": None, "both{1}": "never read", "res": "entry result"}


@pytest.mark.parametrize(
    ("start", "step", "bound", "direction", "trips"),
    [
        (0, 1, 7, "LT", 7),
        (3, 2, 8, "LT", 3),
        (0, 1, 7, "LE", 8),
        (9, -1, 0, "GT", 9),
        (9, -3, 0, "GE", 4),
        (0, 2, 8, "NE", 4),
        (0, 1, 0, "LT", 0),
        (0, -1, 7, "LT", 5),  # never ends: unknown
        (0, 3, 8, "NE", 5),  # never equal: unknown
    ],
)
def test_trip_counts(start: int, step: int, bound: int, direction: str, trips: int) -> None:
    assert _problem(_loop(start, step, bound, direction)).computations[1].trips == trips


def test_a_known_trip_count_wins() -> None:
    config = ', backend_config={"known_trip_count":{"n":"12"}}'
    assert _problem(_loop(config=config)).computations[1].trips == 12


def test_trip_counts_of_real_loops() -> None:
    assert [c.trips for c in SCAN.problem.computations if c.kind == "body"] == [7]
    assert [c.trips for c in LSTM.problem.computations if c.kind == "body"] == [64]


def test_an_in_place_update_of_a_donated_argument_is_one_buffer() -> None:
    problem = DONATED.problem
    groups = {frozenset(problem.tensors[member].instruction for member in group.tensors) for group in problem.groups}
    largest = max(groups, key=len)
    assert any(name.startswith("cache") for name in largest)
    assert sum("dynamic-update-slice" in name for name in largest) == 3


NOT_SCHEDULED = _loop().replace(", is_scheduled=true", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (NOT_SCHEDULED, "not scheduled"),
        (_loop().replace("negate(%got)", "negate(%res)"), "res"),
        (_loop().replace("%got = f32[1024]{0} get", "%got = f32[1024,2]{1,0} get"), None),
        (_loop().replace("index=1\n  %w", "index=9\n  %w"), "does not fit"),
        (_loop().replace("tuple(%next, %sum, %w)", "tuple(%next, %sum)"), "shape"),
        (_loop().replace("while(%init)", "while(%x)"), "shape"),
        (_loop().replace("%neg =", "%copy =").replace("add(%neg", "add(%copy"), "copy"),
        (_loop().replace("parameter(1)", "parameter(one)"), None),
    ],
)
def test_what_does_not_hold_together_ends_in_one_line(text: str, message: str | None) -> None:
    refusal = _refusal(text)
    assert "\n" not in refusal
    assert (message or "") in refusal


def test_a_log_of_another_program() -> None:
    with pytest.raises(BadInputError, match="another schedule"):
        build_problem(LSTM.module, get_target("v4 lite"), SCAN.log)
    with pytest.raises(BadInputError, match=r"fast memory is S\(1\)"):
        build_problem(SCAN.module, get_target("v4"), SCAN.log)
    with pytest.raises(BadInputError, match="no cost lines"):
        build_problem(SCAN.module, V5E, type(SCAN.log)({}, (), (), (), {}, (), (), (), (), (), (), ()))


def test_deep_chains_of_fusions_do_not_recurse_without_bound() -> None:
    parts = ["HloModule m, is_scheduled=true\n\n%f0 (p0: f32[8]) -> f32[8] {\n  %p0 = f32[8]{0} parameter(0)\n"]
    parts.append("  ROOT %n0 = f32[8]{0} negate(%p0)\n}\n\n")
    parts.extend(
        f"%f{n} (p{n}: f32[8]) -> f32[8] {{\n  %p{n} = f32[8]{{0}} parameter(0)\n"
        f"  ROOT %n{n} = f32[8]{{0}} fusion(%p{n}), kind=kLoop, calls=%f{n - 1}\n}}\n\n"
        for n in range(1, 3000)
    )
    parts.append("ENTRY %main (x: f32[8]) -> f32[8] {\n  %x = f32[8]{0} parameter(0)\n")
    parts.append("  ROOT %r = f32[8]{0} fusion(%x), kind=kLoop, calls=%f2999\n}\n")
    assert "deep" in _refusal("".join(parts))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_text_ends_in_a_problem_or_one_line(data: st.DataObject) -> None:
    lines = _loop().split("\n")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        action = data.draw(st.sampled_from(["drop", "double", "swap", "cut"]))
        if action == "drop":
            del lines[at]
        elif action == "double":
            lines.insert(at, lines[at])
        elif action == "swap":
            lines[at], lines[at - 1] = lines[at - 1], lines[at]
        else:
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
    assert "\n" not in _refusal("\n".join(lines))


def test_names_that_two_computations_have() -> None:
    """As a framework that numbers the values of each function writes a loop."""
    text = re.sub(r"%(q|p)\b", "%x", _loop()).replace("%j", "%y").replace("%less", "%x.1").replace("%sum", "%copy")
    problem, plain = _problem(text), _problem(_loop())
    assert [step.name for step in problem.instructions] == [
        *("x", "y", "start", "copy", "init"),
        *("x.2", "y.1", "bound", "x.1"),
        *("x.3", "i", "one", "next", "a", "w", "copy.1", "out"),
        *("loop", "got", "neg", "res"),
    ]
    assert [(t.time, t.live, t.group, len(t.uses)) for t in problem.tensors] == [
        (t.time, t.live, t.group, len(t.uses)) for t in plain.tensors
    ]
    assert problem.computations == plain.computations


@pytest.mark.parametrize("opcode", ["opt-barrier", "optimization-barrier"])
def test_a_barrier_passes_its_operand_on(opcode: str) -> None:
    text = f"""HloModule m, is_scheduled=true

ENTRY %main (a: f32[1024], b: f32[1024]) -> f32[1024] {{
  %a = f32[1024]{{0}} parameter(0)
  %b = f32[1024]{{0}} parameter(1)
  %x = f32[1024]{{0}} negate(%a)
  %in = (f32[1024]{{0}}) tuple(%b)
  %t = (f32[1024]{{0}}, (f32[1024]{{0}})) tuple(%x, %in)
  %o = (f32[1024]{{0}}, (f32[1024]{{0}})) {opcode}(%t)
  %y = f32[1024]{{0}} get-tuple-element(%o), index=0
  ROOT %r = f32[1024]{{0}} negate(%y)
}}
"""
    tensors = {tensor.name: tensor for tensor in _problem(text).tensors}
    assert list(tensors) == ["a", "b", "x", "r"]
    assert tensors["x"].live == (2, 7)
    assert tensors["x"].uses[-1].time == 7


def test_fingerprint_ignores_metadata_and_sees_the_schedule() -> None:
    plain = _problem(_loop()).fingerprint
    assert plain == _problem(_loop().replace("negate(%got)", 'negate(%got), metadata={op_name="f"}')).fingerprint
    assert plain == _problem(_loop().replace("copy(%x)", 'copy(%x), backend_config={"a":1}')).fingerprint
    assert plain == _problem(_loop().replace("%neg = f32[1024]{0}", "%neg = f32[1024]{0:S(1)}")).fingerprint
    assert plain != _problem(_loop().replace("negate", "abs")).fingerprint
    assert plain != _problem(_loop().replace("f32", "s32")).fingerprint
    assert plain != _problem(_loop().replace("%neg", "%minus")).fingerprint
    assert plain != _problem(_loop().replace("add(%neg, %y)", "add(%y, %neg)")).fingerprint


@given(st.lists(st.tuples(st.integers(0, 11), st.lists(st.integers(0, 11), max_size=2)), max_size=9))
def test_phis_that_are_no_choice(drawn: list[tuple[int, list[int]]]) -> None:
    phis = range(3, 3 + len(drawn))
    inputs = {
        phi: [min(first, phi - 1), *(value for value in others if value < 3 or value in phis)]
        for phi, (first, others) in zip(phis, drawn, strict=True)
    }  # the first is defined before the loop, the others anywhere
    assert resolve_phis(inputs) == _slow_resolve(inputs)


def _slow_resolve(inputs: dict[int, list[int]]) -> dict[int, int]:
    """A phi is one value where one value, or one phi, is on every way to it from the values; by trying each."""
    same: dict[int, int] = {}
    for phi in inputs:
        candidates = (set(range(3)) | set(inputs)) - {phi}
        dominators = [cut for cut in sorted(candidates) if not _reaches_another(inputs, phi, cut)]
        if dominators:
            same[phi] = _outermost(inputs, dominators)
    return same


def _reaches_another(inputs: dict[int, list[int]], phi: int, cut: int) -> bool:
    seen, pending = {phi}, [phi]
    hit = False
    while pending:
        for value in inputs.get(pending.pop(), []):
            if value == cut:
                hit = True
            elif value < 3:
                return True
            elif value not in seen:
                seen.add(value)
                pending.append(value)
    return not hit


def _outermost(inputs: dict[int, list[int]], dominators: list[int]) -> int:
    """The dominator that no other one dominates: a value, else the phi that is kept."""
    for one in dominators:
        if one < 3 or not any(not _reaches_another(inputs, one, other) for other in dominators if other != one):
            return one
    return dominators[0]
