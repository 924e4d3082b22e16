"""The benchmark that asks the compiler for each prefetch that the rules allow."""

from __future__ import annotations

import pytest

from benchmarks.compiler.copies import main, plans
from mallocgame.problem.build import build_problem
from mallocgame.problem.targets import get_target
from xla_dump_parser import parse_hlo

TEXT = """HloModule m, is_scheduled=true

ENTRY %main (x: f32[1024], w: f32[1024]) -> f32[1024] {
  %x = f32[1024]{0} parameter(0)
  %w = f32[1024]{0} parameter(1)
  %a = f32[1024]{0} negate(%x)
  %b = f32[1024]{0} add(%a, %w)
  ROOT %c = f32[1024]{0} multiply(%b, %a)
}
"""


def test_each_is_asked_for_at_its_earliest_and_latest_start() -> None:
    """What an instruction makes is asked for after its first use alone."""
    found = dict(plans(build_problem(parse_hlo(TEXT), get_target("v5e"))))
    assert list(found) == [
        "x from 0 for 2",
        "x from 1 for 2",
        "w from 1 for 3",
        "w from 2 for 3",
        "a from 2 for 4",
        "a from 3 for 4",
    ]


@pytest.mark.libtpu
def test_all_are_honoured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--programs", "switch", "--targets", "v5e"]) == 0
    assert "all: honoured 14 of 14" in capsys.readouterr().out
