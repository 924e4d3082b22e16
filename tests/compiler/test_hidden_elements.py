"""Schedules that leave get-tuple-elements out are completed in the order of the compile log."""

from __future__ import annotations

import pytest

from mallocgame.compiler.hidden_elements import show_elements
from mallocgame.system.errors import BadInputError
from xla_dump_parser import parse_hlo

TEXT = """HloModule m, is_scheduled=true

%fused (p: f32[8]) -> (f32[8], f32[8]) {
  %p = f32[8]{0} parameter(0)
  %a = f32[8]{0} add(%p, %p)
  ROOT %t = (f32[8]{0}, f32[8]{0}) tuple(%a, %p)
}

ENTRY %main (x: f32[8]) -> f32[8] {
  %x = f32[8]{0} parameter(0)
  %f.1 = (f32[8]{0}, f32[8]{0}) fusion(%x), kind=kLoop, calls=%fused
  %n = f32[8]{0} negate(%f.1#1)
  %m = f32[8]{0} multiply(%n, %f.1#0)
  ROOT %s = f32[8]{0} subtract(%m, %f.1#1)
}
"""


def test_each_slot_gets_the_element_that_is_needed_first() -> None:
    order = ["x", "f.1", "gte.7", "n", "gte.9", "m", "s"]
    module = parse_hlo(show_elements(TEXT, [("main", name) for name in order]))
    assert [step.name for step in module.entry.instructions] == order
    elements = {
        step.name: step.attributes["index"] for step in module.entry.instructions if step.name.startswith("gte")
    }
    assert elements == {"gte.7": "1", "gte.9": "0"}
    assert module.entry.by_name["s"].operands == ("m", "gte.7")
    assert module.entry.root.name == "s"


def test_a_text_without_hidden_elements_stays_as_it_is() -> None:
    text = TEXT.replace("%f.1#1", "%n").replace("%f.1#0", "%n")
    assert show_elements(text, []) is text


@pytest.mark.parametrize(
    "order",
    [
        ["x", "f.1", "n", "m", "s"],
        ["x", "gte.7", "f.1", "gte.9", "n", "m", "s"],
        ["x", "f.1", "n", "gte.7", "gte.9", "m", "s"],
    ],
)
def test_another_schedule_is_refused(order: list[str]) -> None:
    with pytest.raises(BadInputError, match="another schedule"):
        show_elements(TEXT, [("main", name) for name in order])
