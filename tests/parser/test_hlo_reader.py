"""The reader on texts written by hand: every form, and every error with its place."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from xla_dump_parser import ArrayShape, HloModule, Layout, ParseError, SourceLines, parse_hlo, read_hlo, read_text

MODULE = """HloModule jit_f, is_scheduled=true, input_output_alias={ {1}: (0, {}, may-alias) }, replica_count=2

FileNames
1 "program.py"

FunctionNames
1 "f"

FileLocations
1 {file_name_id=1 function_name_id=1 line=12 end_line=12 column=2 end_column=55}
2 {file_name_id=1 function_name_id=1 line=30 end_line=31 column=2 end_column=55}

StackFrames
1 {file_location_id=1 parent_frame_id=1}
2 {file_location_id=2 parent_frame_id=2}

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

%async_computation (p: f32[8]) -> f32[4] {
  %p = f32[8]{0:T(128)} parameter(0)
  ROOT %slice.1 = f32[4]{0:T(128)S(1)} slice(%p), slice={[0:4]}
}, execution_thread="async"

%cond (t: (s32[], f32[8])) -> pred[] {
  %t = (s32[], /*index=1*/f32[8]{0}) parameter(0)
  %n = s32[] get-tuple-element(%t), index=0
  %three = s32[] constant(3)
  ROOT %lt = pred[] compare(%n, %three), direction=LT
}

%body (u: (s32[], f32[8])) -> (s32[], f32[8]) {
  ROOT %u = (s32[], f32[8]{0}) parameter(0)
}

ENTRY %main (x: f32[8]) -> f32[4] {
  %x = f32[8]{0:T(128)} parameter(0), sharding={devices=[2,1]<=[2]}, metadata={op_name="x{\\"}" stack_frame_id=2}
  %c = c64[2]{0} constant({(1, 2), (3, -1)})
  %zero = s32[] constant(0)
  // a comment
  %start = ((f32[8]{0:T(128)}), f32[4]{0:T(128)S(1)}, u32[]{:S(2)}) async-start(%x), calls=%async_computation
  %done = f32[4]{0:T(128)S(1)} async-done(%start)
  %short = ((f32[8]{0}), f32[2]{0}, s32[]) slice-start(%x), slice={[0:2]}
  %typed = f32[8]{0} add(f32[8]{0:T(8,128)(2,1)} %x, f32[8]{0} %x), control-predecessors={%done, %short}
  %tuple = (s32[], f32[8]{0}) tuple(%zero, /*index=1*/%typed)
  %while = (s32[], f32[8]{0}) while(%tuple), condition=%cond, body=%body, backend_config={"known_trip_count":{"n":"3"}}
  %call = f32[] call(%zero, %zero), to_apply=%add
  %reduce = f32[] reduce(%typed, %zero), dimensions={0}, to_apply=%add
  %branch = f32[] conditional(%zero, %zero, %zero), branch_computations={%add, %add}
  %two = f32[] conditional(%zero, %zero, %zero), true_computation=%add, false_computation=%add
  %custom = f32[8]{0} custom-call(%x), custom_call_target="A\\"B, c={", operand_layout_constraints={f32[8]{0}}
  %multi = f32[2,2]{1,0} constant({
    { 1, 2 },
    { 3, 4 }
}), origin={[0:1]}
  ROOT %out = f32[4]{0:T(128)} copy(%done)
}
"""


@pytest.fixture
def module() -> HloModule:
    return parse_hlo(MODULE, "m.txt")


def test_header_and_computations(module: HloModule) -> None:
    assert (module.name, module.is_scheduled, module.entry.name) == ("jit_f", True, "main")
    assert module.header["input_output_alias"] == "{ {1}: (0, {}, may-alias) }"
    assert module.header["replica_count"] == "2"
    assert list(module.computations) == ["add", "async_computation", "cond", "body", "main"]


def test_instruction_fields(module: HloModule) -> None:
    done = module.entry.by_name["done"]
    assert (done.opcode, done.operands, done.is_root, done.literal) == ("async-done", ("start",), False, None)
    assert done.shape == ArrayShape("f32", (4,), Layout((0,), ((128,),), memory_space=1))
    assert MODULE.splitlines()[done.line - 1].startswith("  %done = ")
    assert module.entry.root.name == "out"
    assert module.computations["body"].root.opcode == "parameter"


def test_operands_in_every_form(module: HloModule) -> None:
    operands = {instruction.name: instruction.operands for instruction in module.entry.instructions}
    assert operands["typed"] == ("x", "x")
    assert operands["tuple"] == ("zero", "typed")
    assert operands["x"] == operands["c"] == ()
    assert module.entry.users["x"] == ("start", "short", "typed", "custom")
    assert module.entry.users["out"] == ()


def test_called_computations_in_the_order_written(module: HloModule) -> None:
    called = {instruction.name: instruction.called for instruction in module.entry.instructions if instruction.called}
    assert called == {
        "start": ("async_computation",),
        "while": ("cond", "body"),
        "call": ("add",),
        "reduce": ("add",),
        "branch": ("add", "add"),
        "two": ("add", "add"),
    }


def test_attributes(module: HloModule) -> None:
    by_name = module.entry.by_name
    assert by_name["x"].attributes == {
        "sharding": "{devices=[2,1]<=[2]}",
        "metadata": '{op_name="x{\\"}" stack_frame_id=2}',
    }
    assert by_name["custom"].attributes["custom_call_target"] == '"A\\"B, c={"'
    assert by_name["custom"].attributes["operand_layout_constraints"] == "{f32[8]{0}}"
    assert by_name["typed"].attributes["control-predecessors"] == "{%done, %short}"
    assert by_name["while"].backend_config == {"known_trip_count": {"n": "3"}}
    assert by_name["x"].backend_config == {}


def test_literals(module: HloModule) -> None:
    by_name = module.entry.by_name
    assert by_name["zero"].literal == "0"
    assert by_name["x"].literal == "0"
    assert by_name["c"].literal == "{(1, 2), (3, -1)}"
    assert by_name["multi"].literal == "{\n    { 1, 2 },\n    { 3, 4 }\n}"
    assert MODULE.splitlines()[by_name["out"].line - 1].startswith("  ROOT %out")


def test_source_lines(module: HloModule) -> None:
    lines = SourceLines(module).of(module.entry.by_name["x"])
    assert [(line.file, line.function, line.line) for line in lines] == [
        ("program.py", "f", 30),
        ("program.py", "f", 12),
    ]
    assert SourceLines(module).of(module.entry.by_name["zero"]) == ()


def test_a_computation_is_read_only_when_asked_for() -> None:
    module = parse_hlo(MODULE.replace("ROOT %sum = f32[] add(%a, %b)", "ROOT nonsense"))
    assert len(module.entry.instructions) == 16
    with pytest.raises(ParseError, match="expected '%name = shape"):
        _ = module.computations["add"].instructions


def test_gpu_like_text_without_percent_signs() -> None:
    text = """HloModule m, is_scheduled=true

fused {
  p0 = bf16[128,256]{1,0} parameter(0)
  ROOT t = bf16[128,256]{1,0} tanh(p0)
}

ENTRY e {
  in = bf16[128,256]{1,0} parameter(0)
  gemm = (bf16[128,256]{1,0}, s8[]) custom-call(in, in), custom_call_target="__gemm", backend_config={"gemm":{"beta":0}}
  first = bf16[128,256]{1,0} get-tuple-element(gemm), index=0
  start = bf16[128,256]{1,0} all-reduce-start(first), replica_groups=[1,2]<=[2], to_apply=fused
  done = bf16[128,256]{1,0} all-reduce-done(start)
  ROOT f = bf16[128,256]{1,0:S(5)} fusion(done), kind=kCustom, calls=fused, backend_config={"kind":"__triton"}
}
"""
    module = parse_hlo(text)
    by_name = module.entry.by_name
    assert by_name["gemm"].operands == ("in", "in")
    assert by_name["start"].called == by_name["f"].called == ("fused",)
    assert by_name["start"].attributes["replica_groups"] == "[1,2]<=[2]"
    assert by_name["gemm"].backend_config == {"gemm": {"beta": 0}}


def test_elements_written_as_operands_become_instructions() -> None:
    text = (
        "HloModule m\n\nENTRY %e {\n  %t = (f32[2]{0}, (f32[3]{0}, s32[])) parameter(0)\n  %t_1_0 = s32[] constant(0)\n"
        "  %n = f32[3]{0} negate(%t#1#0)\n  ROOT %a = f32[3]{0} add(%n, %t#1#0)\n}\n"
    )
    entry = parse_hlo(text).entry
    assert [(i.name, i.opcode, i.operands) for i in entry.instructions] == [
        ("t", "parameter", ()),
        ("t_1_0", "constant", ()),
        ("t_1", "get-tuple-element", ("t",)),
        ("t_1_0.1", "get-tuple-element", ("t_1",)),
        ("n", "negate", ("t_1_0.1",)),
        ("a", "add", ("n", "t_1_0.1")),
    ]
    assert entry.by_name["t_1_0.1"].attributes == {"index": "0"}
    assert entry.by_name["t_1_0.1"].shape == ArrayShape("f32", (3,), Layout((0,)))


def test_large_literal() -> None:
    literal = "{" + ", ".join(map(str, range(200_000))) + "}"
    text = f'HloModule m\n\nENTRY e {{\n  ROOT c = s32[200000]{{0}} constant({literal}), metadata={{op_name="c"}}\n}}\n'
    assert parse_hlo(text).entry.root.literal == literal


def test_files_plain_gzip_and_with_crlf(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(MODULE.replace("\n", "\r\n").encode())
    (tmp_path / "b").write_bytes(gzip.compress(MODULE.encode()))
    assert read_text(tmp_path / "a.txt") == read_text(tmp_path / "b") == MODULE
    assert read_hlo(tmp_path / "a.txt").entry.root.line == read_hlo(tmp_path / "b").entry.root.line


def entry(*lines: str) -> str:
    return "HloModule m\n\nENTRY %e {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


P = "%p = f32[2]{0} parameter(0)"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", (1, 1), "expected 'HloModule NAME'"),
        ("ENTRY e {\n}\n", (1, 1), "expected 'HloModule NAME'"),
        ("HloModule m\n", (1, 1), "no ENTRY"),
        ("HloModule m\n\nwhat is this", (3, 1), "expected a computation"),
        ("HloModule m\n\nENTRY e {\n  a = f32[] parameter(0)\n", (3, 1), "no closing brace"),
        ("HloModule m\n\na {\n  x = f32[] parameter(0)\n}\n", (1, 1), "no ENTRY"),
        (entry(P) + entry(P).partition("\n")[2], (7, 1), "appears twice"),
        (entry(P) + "ENTRY %f {\n  %p = f32[] parameter(0)\n}\n", (1, 1), "2 ENTRY"),
        (entry(), (3, 1), "no instructions"),
        (entry(P, P), (5, 3), "appears twice"),
        (entry(P, "%a = f32[2]{0} negate(%q)"), (5, 3), "'q' is not defined above"),
        (entry("%a = f32[2]{0} negate(%b)", "%b = f32[2]{0} negate(%a)"), (4, 3), "'b' is not defined above"),
        (entry(P, "%a = f32[2]{0} negate(%p"), (5, 24), "no ')'"),
        (entry(P, "%a = f32[2]{0} negate(%p]"), (5, 27), "closes nothing"),
        (entry(P, "%a = f32[2]{0}"), (5, 17), "expected ' opcode('"),
        (entry(P, "%a = negate(%p)"), (5, 8), "expected a shape"),
        (entry(P, "%a = f32[2]{0} negate(%p, )"), (5, 3), "is not an operand"),
        (entry(P, "%a = f32[2]{0} negate(%p#0)"), (5, 3), "no such element"),
        (entry(P, "%a = f32[2]{0} negate(" + "(" * 100_000), (5, 1024 + 1), "deeper"),
    ],
)
def test_errors_of_structure(text: str, place: tuple[int, int], words: str) -> None:
    with pytest.raises(ParseError, match=r"f\.txt:") as caught:
        _ = parse_hlo(text, "f.txt").entry.instructions
    assert words in caught.value.message
    assert (caught.value.line, caught.value.column) == place
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        ("%a = f32[x]{0} negate(%p)", (5, 12), "'x' is not a dimension"),
        ("%a = f99[2]{0} negate(%p)", (5, 8), "unknown element type"),
        ("%a = f32[2]{0 negate(%p)", (5, 15), "expected a layout"),
        ("%a = f32[2]{0} negate(%p), index=0, index=1", (5, 39), "'index' appears twice"),
        ("%a = f32[2]{0} negate(%p), index", (5, 28), "expected ', name=value'"),
        ("%a = f32[2]{0} negate(%p), index=", (5, 36), "has no value"),
        ("%a = f32[2]{0} negate(%p), index={0", (5, 36), "no '}'"),
        ('%a = f32[2]{0} negate(%p), metadata={op_name="x}', (5, 48), "without a closing quote"),
        ("%a = f32[2]{0} negate(%p), calls=%gone", (5, 36), "does not have"),
        ("%a = f32[2]{0} negate(%p), calls=%e", (5, 36), "before its caller"),
        ("%a = f32[2]{0} negate(%p), backend_config={nope}", (5, 30), "not JSON"),
        ('%a = f32[2]{0} negate(%p), backend_config={"a":' + "[" * 200_000 + "}", (5, 30), "not JSON"),
        ("%a = f32[2]{0} negate(%p), a=" + "{" * 100_000, (5, 1033), "deeper"),
    ],
)
def test_errors_inside_an_instruction(line: str, place: tuple[int, int], words: str) -> None:
    instruction = parse_hlo(entry(P, line), "f.txt").entry.by_name["a"]
    with pytest.raises(ParseError, match=r"f\.txt:") as caught:
        _ = instruction.shape, instruction.attributes, instruction.called, instruction.backend_config
    assert words in caught.value.message
    assert (caught.value.line, caught.value.column) == place
    assert "\n" not in str(caught.value)


def test_two_roots() -> None:
    with pytest.raises(ParseError, match="two ROOTs"):
        _ = parse_hlo(entry("ROOT " + P, "ROOT %q = f32[] constant(1)")).entry.root


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"HloModule m\n\xff\xfe")
    (tmp_path / "damaged.gz").write_bytes(gzip.compress(b"x" * 10_000)[:-20])
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(10_000_000)))
    for name, words in [
        ("missing", "No such file"),
        ("", "directory"),
        ("binary", "2:1: byte 0xff is not UTF-8"),
        ("damaged.gz", "cannot read"),
    ]:
        with pytest.raises(ParseError, match=words):
            read_text(tmp_path / name)
    with pytest.raises(ParseError, match="too large"):
        read_text(tmp_path / "bomb.gz", max_bytes=1_000_000)
