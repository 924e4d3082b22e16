"""Texts of the real compiler, lifted and held against what it had before memory space assignment."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reading.lifting import difference, judge, main
from mallocgame.problem.build import build_problem
from mallocgame.problem.lifting.lift import lift
from mallocgame.problem.targets import get_target
from xla_dump_parser import parse_hlo, read_hlo

TESTS = Path(__file__).parents[2]
CAPTURES = TESTS / "kept" / "data"
TEXTS = [
    ("problem/data/branches-v5p.{}.txt.gz", "before", "after", "v5p", "alike"),
    ("problem/data/donated-v4.{}.txt.gz", "before", "after", "v4", "same"),
    ("problem/data/scan-v5e.{}.txt.gz", "before", "after", "v5e", "alike"),
    ("parser/data/v5e_scan_{}.txt.gz", "before_msa", "final", "v5e", "alike"),
    ("parser/data/v5e_transformer_{}.txt.gz", "before_msa", "final", "v5e", "alike"),
]


@pytest.mark.parametrize(("pattern", "before", "after", "target", "verdict"), TEXTS)
def test_lifted_is_what_was_there(pattern: str, before: str, after: str, target: str, verdict: str) -> None:
    texts = [read_hlo(TESTS / pattern.format(which)) for which in (before, after)]
    assert judge(*texts, target).verdict == verdict


def test_kept_captures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(CAPTURES / "tiny.mgz"), str(CAPTURES / "tiny-scan.mgz")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "tiny: same",
        "tiny-scan: alike",
        "v4 lite: 1 same, 1 alike, 0 refused, 0 different; equal 2 of 2 = 100.0 %",
        "all: 1 same, 1 alike, 0 refused, 0 different; equal 2 of 2 = 100.0 %",
    ]


def test_the_text_of_a_compiled_program_of_jax_alone() -> None:
    """It writes slices shorter than dumps do: ``slice-start`` with the slice itself."""
    module = read_hlo(TESTS / "parser" / "data" / "v6e_transformer_as_text.txt.gz")
    target = get_target("v6e")
    found = lift(module, target)
    opcodes = {step.opcode for step in found.module.entry.instructions}
    assert found.copies == 14
    assert not any(opcode.endswith(("-start", "-done")) for opcode in opcodes)
    assert build_problem(found.module, target, final=module).tensors


TILED = "f32[32,128]{1,0:T(8,128)}"
PROGRAM = f"""HloModule toy, is_scheduled=true

ENTRY %main () -> f32[32,128] {{
  %x = {TILED} parameter(0)
  %w = {TILED} parameter(1)
  %a = {TILED} negate(%x)
  %c = {TILED} copy(%a)
  %b = {TILED} add(%c, %w)
  ROOT %r = {TILED} multiply(%b, %a)
}}
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("add(%c, %w)", "add(%c, %x)", "tensor: "),
        ("add(%c, %w)", "subtract(%c, %w)", "instruction: "),
        (f"  %c = {TILED} copy(%a)\n", "", "has other instructions in its place"),
        ("negate(%x)", "exponential(%x)", "instruction: "),
        (f"%a = {TILED} negate(%x)", f"%a = {TILED} negate(%w)", "tensor: "),
        ("multiply(%b, %a)", "multiply(%b, %c)", "tensor: "),
    ],
)
def test_a_difference_is_seen(old: str, new: str, words: str) -> None:
    target = get_target("v5e")
    changed = PROGRAM.replace(old, new)
    if "%c =" not in changed:
        changed = changed.replace("add(%c", "add(%a")
    one, other = (build_problem(parse_hlo(text), target) for text in (PROGRAM, changed))
    assert words in difference(one, other, parse_hlo(PROGRAM))
    assert difference(one, one, parse_hlo(PROGRAM)) == ""


def test_other_names_and_places_of_what_moves_no_bytes_are_no_difference() -> None:
    target = get_target("v5e")
    lines = PROGRAM.splitlines()
    lines[3], lines[4] = lines[4], lines[3]
    one, other = (build_problem(parse_hlo(text), target) for text in (PROGRAM, "\n".join(lines)))
    assert one.fingerprint != other.fingerprint
    assert difference(one, other, parse_hlo(PROGRAM)) == ""
