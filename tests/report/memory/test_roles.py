"""Roles and last users in a training step that is written by hand: each value is 4,096 bytes."""

from __future__ import annotations

import pytest

from mallocgame.problem.liveness import Range
from mallocgame.report.memory.arguments import named_role
from mallocgame.report.memory.flow import Flow
from mallocgame.report.memory.graph import Graph
from mallocgame.report.memory.keepers import Keepers
from mallocgame.report.memory.lives import Lives
from mallocgame.report.memory.passes import Pass, pass_of
from mallocgame.report.memory.roles import Roles, said_role
from mallocgame.report.memory.use import Keeper, Kind, Role
from tests.report.memory.made import LINE
from xla_dump_parser import AssignedValue, SourceLines, parse_hlo, parse_shape
from xla_dump_parser.hlo import HloModule

ARGUMENTS = "(w: f32[1024], m: f32[1024], x: f32[1024], s: f32[1024], k: u32[1024])"

ALIASES = "{ {0}: (0, {}), {1}: (1, {}), {2}: (3, {}) }"

STEP = f"""HloModule step, is_scheduled=true, input_output_alias={ALIASES}

%backward (a: f32[1024], b: f32[1024]) -> f32[1024] {{
  %a = {LINE} parameter(0)
  %b = {LINE} parameter(1)
  %again = {LINE} tanh(%a), metadata={{op_name="jit(f)/jvp()/tanh"}}
  ROOT %g = {LINE} multiply(%again, %b), metadata={{op_name="jit(f)/transpose(jvp())/mul"}}
}}

%update (p: f32[1024], q: f32[1024], g: f32[1024]) -> (f32[1024], f32[1024]) {{
  %p = {LINE} parameter(0)
  %q = {LINE} parameter(1)
  %g = {LINE} parameter(2)
  %q2 = {LINE} add(%q, %g), metadata={{op_name="jit(f)/add"}}
  %p2 = {LINE} subtract(%p, %q2), metadata={{op_name="jit(f)/sub"}}
  ROOT %both = ({LINE}, {LINE}) tuple(%p2, %q2)
}}

ENTRY %main {ARGUMENTS} -> (f32[1024], f32[1024], f32[1024]) {{
  %w = {LINE} parameter(0), metadata={{op_name="a[0]"}}
  %m = {LINE} parameter(1), metadata={{op_name="a[1]"}}
  %x = {LINE} parameter(2), metadata={{op_name="x"}}
  %s = {LINE} parameter(3), metadata={{op_name="running"}}
  %k = u32[1024]{{0:T(1024)}} parameter(4), metadata={{op_name="key"}}
  %wc = {LINE} copy(%w)
  %saved = {LINE} multiply(%wc, %x), metadata={{op_name="jit(f)/jvp()/mul" source_file="f.py" source_line=3}}
  %alone = {LINE} add(%s, %x), metadata={{op_name="jit(f)/jvp()/add"}}
  %s2 = {LINE} add(%alone, %s), metadata={{op_name="jit(f)/jvp()/add"}}
  %moved = {LINE} copy(%saved)
  %remat = {LINE} tanh(%x), metadata={{op_name="jit(f)/transpose(jvp())/checkpoint/rematted_computation/tanh"}}
  %grad = {LINE} fusion(%moved, %remat), kind=kLoop, calls=%backward, metadata={{op_name="jit(f)/jvp()/tanh"}}
  %sum = {LINE} all-reduce(%grad), to_apply=%backward, metadata={{op_name="jit(f)/transpose(jvp())/psum"}}
  %two = {LINE} add(%grad, %grad), metadata={{op_name="jit(f)/while/body/add" source_file="f.py" source_line=9}}
  %bare = {LINE} negate(%sum)
  %step = {LINE} multiply(%bare, %two), metadata={{op_name="jit(f)/mul"}}
  %new = ({LINE}, {LINE}) fusion(%w, %m, %step), kind=kLoop, calls=%update, metadata={{op_name="jit(f)/sub"}}
  %w2 = {LINE} get-tuple-element(%new), index=0
  %m2 = {LINE} get-tuple-element(%new), index=1
  ROOT %t = ({LINE}, {LINE}, {LINE}) tuple(%w2, %m2, %s2)
}}
"""

WITHOUT = STEP.replace(f"input_output_alias={ALIASES}", "entry_computation_layout={}")
"""The same with nothing donated."""

SCAN = """HloModule scan, is_scheduled=true

%cond (c: (s32[], f32[4,1024])) -> pred[] {
  %c = (s32[], f32[4,1024]{1,0:T(8,128)}) parameter(0)
  %ci = s32[] get-tuple-element(%c), index=0
  %n = s32[] constant(4)
  ROOT %less = pred[] compare(%ci, %n), direction=LT, metadata={op_name="jit(f)/jvp()/while/cond/lt"}
}

%body (b: (s32[], f32[4,1024])) -> (s32[], f32[4,1024]) {
  %b = (s32[], f32[4,1024]{1,0:T(8,128)}) parameter(0)
  %i = s32[] get-tuple-element(%b), index=0
  %stack = f32[4,1024]{1,0:T(8,128)} get-tuple-element(%b), index=1
  %zero = s32[] constant(0)
  %h = f32[1,1024]{1,0:T(8,128)} rng(%zero, %zero), metadata={op_name="jit(f)/jvp()/while/body/tanh"}
  %put = f32[4,1024]{1,0:T(8,128)} dynamic-update-slice(%stack, %h, %i, %zero)
  %one = s32[] constant(1)
  %next = s32[] add(%i, %one), metadata={op_name="jit(f)/jvp()/while/body/add"}
  ROOT %r = (s32[], f32[4,1024]{1,0:T(8,128)}) tuple(%next, %put)
}

ENTRY %main (start: s32[]) -> f32[4,1024] {
  %start = s32[] parameter(0)
  %nothing = f32[] constant(0)
  %room = f32[4,1024]{1,0:T(8,128)} broadcast(%nothing), dimensions={}, metadata={op_name="jit(f)/jvp()/full"}
  %init = (s32[], f32[4,1024]{1,0:T(8,128)}) tuple(%start, %room)
  %loop = (s32[], f32[4,1024]{1,0:T(8,128)}) while(%init), condition=%cond, body=%body
  %kept = f32[4,1024]{1,0:T(8,128)} get-tuple-element(%loop), index=1
  ROOT %g = f32[4,1024]{1,0:T(8,128)} negate(%kept), metadata={op_name="jit(f)/transpose(jvp())/neg"}
}
"""

CARRIED = f"""HloModule steps, is_scheduled=true, input_output_alias={{ {{0}}: (1, {{}}) }}

%cond (c: (s32[], f32[1024])) -> pred[] {{
  %c = (s32[], {LINE}) parameter(0)
  %ci = s32[] get-tuple-element(%c), index=0
  %n = s32[] constant(4)
  ROOT %less = pred[] compare(%ci, %n), direction=LT, metadata={{op_name="jit(f)/while/cond/lt"}}
}}

%body (b: (s32[], f32[1024])) -> (s32[], f32[1024]) {{
  %b = (s32[], {LINE}) parameter(0)
  %i = s32[] get-tuple-element(%b), index=0
  %w = {LINE} get-tuple-element(%b), index=1
  %h = {LINE} tanh(%w), metadata={{op_name="jit(f)/while/body/jvp()/tanh"}}
  %g = {LINE} negate(%h), metadata={{op_name="jit(f)/while/body/transpose(jvp())/neg"}}
  %new = {LINE} subtract(%w, %g), metadata={{op_name="jit(f)/while/body/sub"}}
  %one = s32[] constant(1)
  %next = s32[] add(%i, %one), metadata={{op_name="jit(f)/while/body/add"}}
  ROOT %r = (s32[], {LINE}) tuple(%next, %new)
}}

ENTRY %main (start: s32[], a: f32[1024]) -> f32[1024] {{
  %start = s32[] parameter(0)
  %a = {LINE} parameter(1)
  %init = (s32[], {LINE}) tuple(%start, %a)
  %loop = (s32[], {LINE}) while(%init), condition=%cond, body=%body
  ROOT %out = {LINE} get-tuple-element(%loop), index=1
}}
"""


def _value(module: HloModule, name: str, index: tuple[int, ...] = (), shape: str = LINE) -> AssignedValue:
    return AssignedValue(0, name, index, False, 0, 4096, 0, parse_shape(shape))


def _role(text: str, name: str, kind: Kind = "temporary", index: tuple[int, ...] = (), shape: str = LINE) -> Role:
    module = parse_hlo(text)
    lives = Lives(module)
    flow = Flow(Graph(lives.schedule, lives.dataflow, module))
    return Roles(module, lives, flow).of(_value(module, name, index, shape), kind)


@pytest.mark.parametrize(
    ("name", "kind", "role"),
    [
        ("w", "aliased", "weights"),  # read in the forward pass, and given back
        ("m", "aliased", "optimizer state"),  # read outside of both passes alone, and given back
        ("s", "aliased", "other inputs"),  # given back, but what is given back is of the forward pass
        ("x", "argument", "other inputs"),
        ("k", "argument", "other inputs"),
        ("wc", "temporary", "weights"),  # a copy is what it copies
        ("saved", "temporary", "saved activations"),  # through its copy, in a fusion of the backward pass
        ("moved", "temporary", "saved activations"),
        ("alone", "temporary", "forward values"),
        ("remat", "temporary", "recomputed activations"),
        ("grad", "temporary", "gradients"),  # by the root of its fusion, which has a name of the forward pass
        ("two", "temporary", "gradients"),  # a sum of gradients
        ("sum", "temporary", "collective buffers"),
        ("bare", "temporary", "not known"),
        ("step", "temporary", "other"),
        ("grad", "constant", "other"),
        ("gone", "temporary", "not known"),
    ],
)
def test_roles(name: str, kind: Kind, role: Role) -> None:
    assert _role(STEP, name, kind) == role


@pytest.mark.parametrize(
    ("name", "kind", "index", "role"),
    [
        ("w", "argument", (), "weights"),  # an output is computed from it outside of both passes
        ("m", "argument", (), "optimizer state"),
        ("x", "argument", (), "other inputs"),
        ("new", "output", (0,), "weights"),  # of w and m, element by element; the other output is of m alone
        ("new", "output", (1,), "optimizer state"),
        ("s2", "output", (), "forward values"),
    ],
)
def test_roles_without_donation(name: str, kind: Kind, index: tuple[int, ...], role: Role) -> None:
    assert _role(WITHOUT, name, kind, index) == role


@pytest.mark.parametrize(
    "pairs", ["{ {0}: (1, {}), {1}: (0, {}), {2}: (3, {}) }", "{ {0}: (3, {}), {1}: (1, {}), {2}: (0, {}) }"]
)
def test_any_output_may_take_a_place(pairs: str) -> None:
    """JAX pairs donated arguments with outputs by their shapes alone."""
    text = STEP.replace(ALIASES, pairs)
    assert [_role(text, name, "aliased") for name in "wms"] == ["weights", "optimizer state", "other inputs"]


def test_what_xla_adds_to_a_fusion_is_nothing() -> None:
    """A multiplication without a name, in a fusion that has one of the backward pass, does not make m a weight."""
    text = STEP.replace("  %q2 = ", f"  %bare2 = {LINE} multiply(%q, %q)\n  %q2 = ").replace(
        "add(%q, %g)", "add(%bare2, %g)"
    )
    text = text.replace(
        'calls=%update, metadata={op_name="jit(f)/sub"}', 'calls=%update, metadata={op_name="transpose(jvp())"}'
    )
    assert text.count("%bare2") == 2
    assert _role(text, "m", "aliased") == "optimizer state"


@pytest.mark.parametrize(("index", "role"), [(1, "optimizer state"), (0, "weights")])
def test_each_result_of_a_combined_all_reduce_is_of_its_own_operand(index: int, role: Role) -> None:
    """XLA adds up the loss and the norm of new state over devices in one all-reduce; a pass reads the loss alone."""
    combined = f"""  %norm = {LINE} negate(%m2), metadata={{op_name="jit(f)/neg"}}
  %part = {LINE} add(%x, %x), metadata={{op_name="jit(f)/jvp()/add"}}
  %sums = ({LINE}, {LINE}) all-reduce(%norm, %part), to_apply=%backward, metadata={{op_name="jit(f)/reduce_sum"}}
  %loss = {LINE} get-tuple-element(%sums), index={index}
  %mean = {LINE} negate(%loss), metadata={{op_name="jit(f)/jvp()/div"}}
  ROOT"""
    text = STEP.replace("  ROOT %t = ", f"{combined} %t = ")
    assert _role(text, "m", "aliased") == role


def test_what_is_computed_before_the_gradient() -> None:
    """A weight that is scaled outside of the gradient is no optimizer state, and the scale no weight."""
    text = STEP.replace("  %wc = ", f'  %wm = {LINE} multiply(%w, %k), metadata={{op_name="jit(f)/mul"}}\n  %wc = ')
    text = text.replace("copy(%w)", "copy(%wm)").replace("u32[1024]", "f32[1024]")
    assert _role(text, "w", "aliased") == "weights"
    assert _role(text, "k", "argument") == "other inputs"


def test_state_that_a_loop_carries() -> None:
    """First the argument, then its new value."""
    assert _role(CARRIED, "b", index=(1,), shape="f32[1024]{0:T(1024)}") == "weights"


def test_a_tie_is_not_known() -> None:
    """Both outputs are computed from both arguments: which is the weight's new value cannot be told."""
    tied = WITHOUT.replace("add(%q, %g), metadata", "add(%q, %p), metadata")
    assert {_role(tied, "new", "output", (index,)) for index in (0, 1)} == {"not known"}


@pytest.mark.parametrize("name", ["loop", "room", "b", "c"])
def test_what_a_scan_stacks(name: str) -> None:
    """At its beginning the stack holds nothing yet."""
    index = () if name == "room" else (1,)
    assert _role(SCAN, name, index=index, shape="f32[4,1024]{1,0:T(8,128)}") == "saved activations"


def test_without_a_gradient_names_alone_count() -> None:
    text = STEP.replace("transpose(jvp())", "").replace("jvp()", "").replace('"a[0]"', "\"params['a']\"")
    assert _role(text, "w", "aliased") == "weights"
    assert _role(text, "m", "aliased") == "other inputs"
    assert _role(text, "saved") == "other"


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("state.params['dense']['kernel']", "weights"),
        ("state.opt_state[0].mu['params']['w']", "optimizer state"),
        ("grads['w']", "gradients"),
        ("x", None),
        ("layers[0]['gate']", None),
    ],
)
def test_names(path: str, role: Role | None) -> None:
    assert named_role(path) == role


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("jit(step)/jvp()/dot_general", "forward"),
        ("jit(step)/jvp(Model)/while/body/add", "forward"),
        ("jit(step)/transpose(jvp(Model))/while/body/add", "backward"),
        ("jit(step)/vmap(transpose(jvp()))/mul", "backward"),
        ("jit(step)/transpose(vmap(jvp()))/mul", "backward"),
        ("jit(f)/transpose(jvp())/checkpoint/rematted_computation/tanh", "recomputed"),
        ("jit(step)/transpose", "outside"),
        ("", None),
    ],
)
def test_passes(name: str, part: Pass | None) -> None:
    assert pass_of(name) == part


def test_of_a_message() -> None:
    assert said_role("argument", "params['w']") == "weights"
    assert said_role("argument", "x") == "not known"
    assert said_role("temporary", "jit(f)/transpose(jvp())/mul") == "gradients"
    assert said_role("temporary", "jit(f)/jvp()/mul") == "not known"
    assert said_role("output", "") == "other"


def _keeper(text: str, name: str, kind: Kind, live: Range, index: tuple[int, ...] = (), shape: str = LINE) -> Keeper:
    module = parse_hlo(text)
    lives = Lives(module)
    flow = Flow(Graph(lives.schedule, lives.dataflow, module))
    found = Keepers(lives, flow, SourceLines(module)).of(_value(module, name, index, shape), kind, live)
    assert found is not None
    return found


def test_last_users() -> None:
    """Times are the lines of the entry."""
    add = "jit(f)/while/body/add"
    assert _keeper(STEP, "grad", "temporary", (11, 13)) == Keeper("read", "two", 13, add, "f.py:9", "")
    saved = _keeper(STEP, "saved", "temporary", (6, 9))
    assert (saved.instruction, saved.time, saved.what) == ("moved", 9, "jit(f)/jvp()/tanh")  # a copy: what computes
    assert _keeper(STEP, "w", "aliased", (0, 19)) == Keeper("donated", "new", 16, "jit(f)/sub", None, "")
    assert _keeper(STEP, "x", "argument", (0, 19)).instruction == "remat"
    assert _keeper(STEP, "k", "argument", (0, 19)) == Keeper("argument", "", None, "", None, "")
    assert _keeper(WITHOUT, "new", "output", (0, 19), (0,)).instruction == "new"


def test_what_a_loop_begins_with_is_kept_by_the_loop() -> None:
    shape = "f32[4,1024]{1,0:T(8,128)}"
    assert _keeper(SCAN, "room", "temporary", (2, 4), (), shape).loop == "loop"
