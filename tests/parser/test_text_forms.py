"""One module in every form in which a text may come: pasted, wrapped, commented, from another system."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest

from tests.parser.test_hlo_reader import MODULE, entry
from xla_dump_parser import HloModule, ParseError, SourceLines, parse_hlo, read_hlo

STRING = re.compile(r'("(?:[^"\\]|\\.)*")')
RECOVERY = """, origin_recovery_table={
  {"old"} : {"old__ovp0"},
  "
    ENTRY %recovery (p: f32[2]) -> f32[2] {
      ROOT %p = f32[2] parameter(0), metadata={op_name=\\"p\\"}
    }
  "
},
debug_attributes={
  {"old"}:({log_mode=default,callback_id=1})
}
, replica_count=2"""


def _wrapped(text: str) -> str:
    """A line end after every comma and equals sign that a blank follows, outside strings."""
    lines = []
    for line in text.split("\n"):
        parts = STRING.split(line) if line.startswith(("  ", "%", "ENTRY")) else [line]
        parts[::2] = [part.replace(", ", ",\n      ").replace(" = ", " =\n    ") for part in parts[::2]]
        lines.append("".join(parts).replace(" -> ", "\n    -> "))
    return "\n".join(lines)


def _commented(text: str) -> str:
    """A comment with an open string and bracket after every instruction and opening brace."""
    comment = " // note: \"it's (x"
    return re.sub(r"(?m)^((?:%|ENTRY).* \{|  .* = .*[^{])$", lambda found: found[0] + comment, text)


FORMS: dict[str, Callable[[str], str]] = {
    "byte order mark": lambda text: "\ufeff" + text,
    "line ends of Windows": lambda text: text.replace("\n", "\r\n"),
    "old line ends": lambda text: text.replace("\n", "\r"),
    "blanks at line ends": lambda text: text.replace("\n", "  \n"),
    "indented": lambda text: textwrap.indent(text, "    "),
    "indented but for its first line": lambda text: textwrap.indent(text, "    ").lstrip(),
    "indented by tabs": lambda text: textwrap.indent(text, "\t"),
    "braces farther left than their computations": lambda text: textwrap.indent(text, "  ").replace("\n  }", "\n }"),
    "wrapped": _wrapped,
    "wrapped before commas": lambda text: re.sub(r", (metadata|backend_config|calls)=", r"\n      , \1=", text),
    "wrapped in a bracket": lambda text: text.replace("{devices=[2,1]<=[2]}", "{\n    devices=[2,1]\n    <=[2]\n  }"),
    "wrapped header": lambda text: text.replace(", is_scheduled=true", ",\n  is_scheduled=true"),
    "commented": _commented,
    "a computation on one line": lambda text: re.sub(r"(%body .* \{)\n(.*)\n\}", r"\1 \2 }", text),
    "all at once": lambda text: "\ufeff" + textwrap.indent(_commented(text), "      ").replace("\n", "\r\n"),
    "recovery table in the header": lambda text: text.replace(", replica_count=2", RECOVERY),
    "unknown tables": lambda text: text.replace(
        "\nENTRY", '\nNewTable\n1 "a"\n2 {b}\n\nblocks={\n  {"a"} : "\n}\n"\n}\nOther: {\n  1 {a}\n}\nENTRY'
    ),
    "a table with no blank line after it": lambda text: text.replace("\n\nENTRY", '\nNewTable\n1 "a"\nENTRY'),
}


def _all(module: HloModule) -> list[object]:
    """All that a module says, blanks apart."""
    return [
        (
            (computation.name, step.name, step.opcode, step.shape, step.operands, step.called, step.is_root),
            re.sub(r"\s", "", step.literal or ""),
            {name: re.sub(r"\s", "", value) for name, value in step.attributes.items()},
            dict(step.backend_config),
        )
        for computation in module.computations.values()
        for step in computation.instructions
    ]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_reads_the_same(form: str) -> None:
    text = FORMS[form](MODULE)
    assert text != MODULE
    plain, module = parse_hlo(MODULE), parse_hlo(text)
    assert _all(module) == _all(plain)
    assert (module.is_scheduled, module.header["replica_count"]) == (True, "2")
    assert SourceLines(module).of(module.entry.by_name["x"]) == SourceLines(plain).of(plain.entry.by_name["x"])
    lines = re.split(r"\r\n|\r|\n", text)
    assert all(step.name in lines[step.line - 1] for step in module.entry.instructions)


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(MODULE, encoding="utf-8-sig")
    assert read_hlo(tmp_path / "a.txt").name == "jit_f"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%a = f32[2]{0} dynamic-update-slice()", "dynamic-update-slice 'a' has operands: 0, it needs at least 2"),
        ("ROOT %a = f32[2]{0} reduce(%p), to_apply=%e", "reduce 'a' has operands: 1, it needs at least 2"),
        ("a = f32[2]{0} get-tuple-element(), index=0", "get-tuple-element 'a' has operands: 0, it needs at least 1"),
        ("%a = f32[2]{0} select(%p, %p)", "select 'a' has operands: 2, it needs at least 3"),
    ],
)
def test_too_few_operands(line: str, words: str) -> None:
    with pytest.raises(ParseError, match=re.escape(words)) as caught:
        _ = parse_hlo(entry("%p = f32[2]{0} parameter(0)", line), "f.txt").entry.instructions
    assert (caught.value.line, caught.value.column) == (5, line.index("a = ") + 3 - ("%" in line[: line.index("a = ")]))


def test_opcodes_that_may_have_no_operands() -> None:
    steps = entry("%t = () tuple()", "%i = s32[2]{0} iota(), iota_dimension=0", "%u = f32[2]{0} unheard-of()")
    assert len(parse_hlo(steps).entry.instructions) == 3


def test_many_braces_that_stand_elsewhere() -> None:
    """No closing line is sought through the rest of the text again for each computation."""
    one = "  %f{} {{\n    ROOT %p = f32[2] parameter(0)\n }}\n"
    text = (
        "HloModule m\n\n"
        + "".join(one.format(number) for number in range(40_000))
        + "ENTRY %e {\n  p = f32[] iota()\n}\n"
    )
    start = process_time()
    assert len(parse_hlo(text).computations) == 40_001
    assert process_time() - start < 10
