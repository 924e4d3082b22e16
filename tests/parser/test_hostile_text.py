"""Generated modules read as they were made; damaged, deep and huge texts end in a ParseError of one line, soon."""

from __future__ import annotations

import gzip
import random
from dataclasses import dataclass
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.reading.corrupt import DATA, check, read_whole
from benchmarks.reading.oracle import Comparison, compare
from benchmarks.reading.parser import grow
from xla_dump_parser import ParseError, parse_hlo

SMALL = gzip.decompress((DATA / "small_v4lite_final.txt.gz").read_bytes()).decode()


@dataclass(frozen=True)
class Made:
    """An instruction as generated: what the reader has to find."""

    name: str
    opcode: str
    operands: tuple[str, ...]
    text: str


@st.composite
def made_modules(draw: st.DrawFn) -> tuple[str, list[Made]]:
    """A valid module of elementwise instructions on one shape, and its entry's instructions."""
    shape = draw(st.sampled_from(("f32[]", "f32[8,128]{1,0:T(8,128)}", "bf16[3,5]{0,1:T(8,128)(2,1)S(1)}")))
    percent = draw(st.sampled_from(("%", "")))
    # XLA refuses names that begin with two underscores.
    stems = draw(st.lists(st.from_regex(r"_?[a-z][a-z0-9_.\-]{0,6}", fullmatch=True), min_size=1, max_size=12))
    made: list[Made] = []
    for number, stem in enumerate(stems):
        name = f"{stem}.n{number}"
        arity = draw(st.integers(0, 2)) if made else 0
        operands = tuple(draw(st.sampled_from(made)).name for _ in range(arity))
        opcode = ("parameter", "negate", "add")[arity]
        inside = str(sum(m.opcode == "parameter" for m in made))
        if arity:
            typed = draw(st.booleans())
            inside = draw(st.sampled_from((", ", ", /*index=5*/"))).join(
                f"{shape} {percent}{name}" if typed else f"{percent}{name}" for name in operands
            )
        attributes = draw(
            st.sampled_from(
                (
                    "",
                    ', metadata={op_name="a(b){c}\\"d, e=" source_line=3}',
                    ', frontend_attributes={k="v"}, metadata={op_name="x"}',
                    ', backend_config={"a":["}, x=1"],"b":{}}',
                )
            )
        )
        root = "ROOT " if number == len(stems) - 1 else ""
        made.append(Made(name, opcode, operands, f"  {root}{percent}{name} = {shape} {opcode}({inside}){attributes}"))
    body = "\n".join(m.text for m in made)
    return f"HloModule made, is_scheduled=true\n\nENTRY {percent}main {{\n{body}\n}}\n", made


@given(made_modules())
@settings(deadline=None)
def test_made_modules_read_as_they_were_made(case: tuple[str, list[Made]]) -> None:
    text, made = case
    module = parse_hlo(text)
    assert [(i.name, i.opcode, i.operands) for i in module.entry.instructions] == [
        (m.name, m.opcode, m.operands) for m in made
    ]
    assert read_whole(module) == len(made)
    for m in made:
        assert module.entry.users[m.name] == tuple(user.name for user in made if m.name in user.operands)


@given(made_modules())
@settings(deadline=None, max_examples=50)
def test_made_modules_read_as_the_oracle_reads_them(case: tuple[str, list[Made]]) -> None:
    pytest.importorskip("jaxlib._hlo")
    total = Comparison()
    compare(case[0], "made", total)
    assert total.differences == []


@given(st.text(max_size=200) | st.text(alphabet='HloModule ENTRY %{}()[]=,"\\:#*/\n 0a.', max_size=200))
@settings(deadline=None)
def test_any_text(text: str) -> None:
    for case in (text, f"HloModule m\n\n{text}", f"HloModule m\n\nENTRY e {{\n{text}\n}}\n"):
        assert check(case.encode("utf-8", "surrogatepass")) in ("read", "refused")


@given(st.data())
@settings(deadline=None)
def test_mutated_dumps(data: st.DataObject) -> None:
    lines = SMALL.split("\n")
    for _ in range(data.draw(st.integers(1, 3))):
        first, second = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        action = data.draw(st.sampled_from(("swap", "drop", "repeat", "cut", "splice")))
        if action == "swap":
            lines[first], lines[second] = lines[second], lines[first]
        elif action == "drop":
            lines[first] = ""
        elif action == "repeat":
            lines[first] = f"{lines[first]}\n{lines[first]}"
        elif action == "cut":
            lines[first] = lines[first][: data.draw(st.integers(0, 300))]
        else:
            lines[first] += lines[second]
    assert check("\n".join(lines).encode()) in ("read", "refused")


def test_truncated_anywhere() -> None:
    end = SMALL.rindex("\n}")
    for length in range(0, end, 7):
        with pytest.raises(ParseError):
            read_whole(parse_hlo(SMALL[:length]))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "HloModule m, x=" + "{" * 100_000,
        "HloModule m\n\nENTRY e {\n  %a = " + "(" * 100_000 + "\n}\n",
        "HloModule m\n\nENTRY e {\n  %a = " + "(" * 100_000 + "f32[]" + ")" * 100_000 + " parameter(0)\n}\n",
        "HloModule m\n\nENTRY e {\n  %a = f32[] constant(" + "(" * 100_000 + ")" * 100_000 + ")\n}\n",
        "HloModule m\n\nENTRY e {\n  %a = f32[] parameter(0), b={" + "[" * 100_000 + "]" * 100_000 + "}\n}\n",
        'HloModule m\n\nENTRY e {\n  %a = f32[] parameter(0), backend_config={"a":'
        + "[" * 100_000
        + "]" * 100_000
        + "}\n}\n",
        "HloModule m\n\nENTRY e {\n  %a = f32[9999999999999999999999] parameter(0)\n}\n",
        "HloModule m\n\nENTRY e {\n  %a = f32[4611686018427387904,4] parameter(0)\n}\n",
        "HloModule m\n\nENTRY e {\n  %a = f32[]{:T(9999999999999999999999)} parameter(0)\n}\n",
        "HloModule m\n\n" + "ENTRY e {\n" * 100_000,
    ],
)
def test_deep_and_huge(text: str) -> None:
    start = process_time()
    with pytest.raises(ParseError) as caught:
        read_whole(parse_hlo(text))
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 300
    assert process_time() - start < 5


JUNK = [
    ("x", ""),
    ("\n", ""),
    (" ", ""),
    ("HloModule m\n", "HloModule m\n"),
    ("{}\n", "HloModule m\n"),
    ("%a ", "HloModule m\nENTRY e {\n"),
    ("a, ", "HloModule m\nENTRY e {\n  %a = "),
    ("/*", "HloModule m\n"),
    ("/*", "HloModule m\nENTRY e {\n  %a = f32[] add("),
    ('"', "HloModule m\nENTRY e {\n  %a = f32[] add("),
    ("(", "HloModule m\nENTRY e {\n  %a = "),
    ("a {\n}\n", "HloModule m\n"),
    ("\n}x", "HloModule m\nENTRY e {\n"),
]


@pytest.mark.parametrize(("unit", "start"), JUNK)
@pytest.mark.parametrize("end", ["", "\n}\n"])
def test_ten_megabytes_of_junk_end_soon(unit: str, start: str, end: str) -> None:
    text = start + unit * (10_000_000 // len(unit)) + end
    begin = process_time()
    with pytest.raises(ParseError) as caught:
        read_whole(parse_hlo(text))
    assert process_time() - begin < 5
    assert len(str(caught.value)) < 300


def test_grown_texts_are_whole_modules() -> None:
    text = gzip.decompress((DATA / "v5e_scan_final.txt.gz").read_bytes()).decode()
    once = read_whole(parse_hlo(text))
    grown = parse_hlo(grow(text, 0.1))
    assert read_whole(grown) % once == 0
    assert read_whole(grown) >= 100_000 // len(text) * once


def test_random_bytes() -> None:
    rng = random.Random(0)
    for _ in range(300):
        assert check(b"HloModule m\n\n" + rng.randbytes(200)) == "refused"
