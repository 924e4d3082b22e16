"""A program small enough to place by hand: of 540,672 bytes of temporaries, 532,480 are live at its peak."""

from __future__ import annotations

from mallocgame.problem.targets import TARGETS
from mallocgame.programs.placed import Placed
from xla_dump_parser import parse_hlo

LINE = "f32[1024]{0:T(1024)}"
WIDE = "f32[1024,2]{1,0:T(8,128)}"

MODULE = f"""HloModule made, is_scheduled=true, input_output_alias={{ {{0}}: (1, {{}}, may-alias) }}

ENTRY %main (x: f32[1024], s: f32[1024]) -> (f32[1024]) {{
  %x = {LINE} parameter(0), metadata={{op_name="x"}}
  %s = {LINE} parameter(1), metadata={{op_name="state[\\'s\\']"}}
  %a = {LINE} negate(%x), metadata={{op_name="neg" source_file="step.py" source_line=3}}
  %b = {WIDE} broadcast(%x), dimensions={{0}}, metadata={{op_name="wide" source_file="step.py" source_line=4}}
  %c = {LINE} custom-call(%a, %b), custom_call_target="both"
  %n = {LINE} add(%c, %s)
  ROOT %t = ({LINE}) tuple(%n)
}}
"""

ASSIGNMENT = f"""BufferAssignment:
allocation 0: size 4096, page 0, parameter 0, shape |f32[1024]| at ShapeIndex {{}}:
 value: <0 x @0> (size=4096,offset=0): {LINE}
allocation 1: size 4096, page 0, parameter 1, shape |f32[1024]| at ShapeIndex {{}}, maybe-live-out:
 value: <1 s @0> (size=4096,offset=0): {LINE}
 value: <2 n @0> (size=4096,offset=0): {LINE}
allocation 2: size 512, page 0, output shape is |(f32[1024])|, maybe-live-out:
 value: <3 t{{}} @0> (size=512,offset=0): ({LINE})
allocation 3: size 540672, page 0, preallocated-temp:
 value: <4 a @0> (size=4096,offset=0): {LINE}
 value: <5 b @0> (size=524288,offset=8192): {WIDE}
 value: <6 c @0> (size=4096,offset=536576): {LINE}
"""
"""Bytes 4,096 to 8,192 and 532,480 to 536,576 of the temporaries hold nothing."""

REPORT = """Memory Space: default (color=0)
Total bytes: 549376 (536.50KiB)
"""

LOWERED = """module @jit_f {
  func.func public @main(%arg0: tensor<1024xf32> loc("x"), %arg1: tensor<1024xf32> {tf.aliasing_output = 0 : i32} \
loc("s")) -> (tensor<1024xf32> {jax.result_info = "result"}) {
"""


def placed(report: str = REPORT, assignment: str = ASSIGNMENT) -> Placed:
    """The program, for v5e."""
    return Placed("made.txt", parse_hlo(MODULE), assignment, report, LOWERED, TARGETS["v5e"])
