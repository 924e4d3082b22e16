"""Small HLO texts before and after memory space assignment; one f32[8,128] is 4096 bytes and takes 1 s over HBM."""

from __future__ import annotations

from dataclasses import replace

from mallocgame.problem.build import build_problem
from mallocgame.problem.schema import Problem, Target
from xla_dump_parser import HloModule, parse_hlo

TARGET = Target("toy", 1, 16 * 4096, 4096, 4096.0, 40960.0, 40960.0, 1.0, 2**34)
SLOW = "f32[8,128]{1,0:T(8,128)}"
FAST = "f32[8,128]{1,0:T(8,128)S(1)}"
SLOW4 = "f32[32,128]{1,0:T(8,128)}"
FAST4 = "f32[32,128]{1,0:T(8,128)S(1)}"
SYNC = "u32[]{:S(2)}"


def text(entry: str, *computations: str) -> str:
    """A scheduled module: ``entry`` is instructions, one a line, ``computations`` have their headers too."""
    parts = ["HloModule toy, is_scheduled=true", *computations, "ENTRY %main () -> f32[8,128] {\n" + entry + "\n}"]
    return "\n\n".join(parts) + "\n"


def module(entry: str, *computations: str) -> HloModule:
    """``text``, parsed."""
    return parse_hlo(text(entry, *computations))


def problem(before: HloModule, compute: dict[str, float] | None = None) -> Problem:
    """The problem with these compute seconds, 0 for all other instructions."""
    built = build_problem(before, TARGET)
    instructions = tuple(
        replace(step, compute_seconds=(compute or {}).get(step.name, 0.0)) for step in built.instructions
    )
    return replace(built, instructions=instructions)


ENTRY = f"""
  %x = {SLOW} parameter(0)
  %w = {SLOW4} parameter(1)
  %a = {SLOW} negate(%x)
  %s = {SLOW} slice(%w), slice={{[0:8], [0:128]}}
  %n = {SLOW4} negate(%w)
  %t = {SLOW} slice(%n), slice={{[8:16], [0:128]}}
  %b = {SLOW} add(%a, %x)
  ROOT %r = {SLOW} add(%b, %t)"""
"""Times and tensors: x 0, w 1, a 2, s 3, n 4, t 5, b 6, r 7."""

PREFETCHED = f"""
  %x = {SLOW} parameter(0)
  %w = {SLOW4} parameter(1)
  %copy-start = ({FAST4}, {SLOW4}, {SYNC}) copy-start(%w)
  %a = {FAST} negate(%x), backend_config={{"window_config":{{"estimated_cycles":"3"}}}}
  %s = {SLOW} slice(%w), slice={{[0:8], [0:128]}}
  %copy-done = {FAST4} copy-done(%copy-start)
  %n = {FAST4} negate(%copy-done)
  %t = {FAST} slice(%n), slice={{[8:16], [0:128]}}
  %b = {SLOW} add(%a, %x), backend_config={{"window_config":{{"estimated_cycles":"0"}}}}
  ROOT %r = {SLOW} add(%b, %t)"""

SLICED_LONG = f"""
  %x = {SLOW} parameter(0)
  %w = {SLOW4} parameter(1)
  %slice-start = (({SLOW4}), f32[16,128]{{1,0:T(8,128)S(1)}}, {SYNC}) async-start(%w), calls=%async_computation
  %a = {SLOW} negate(%x)
  %slice-start.1 = (({SLOW4}), f32[16,128]{{1,0:T(8,128)S(1)}}, {SYNC}) async-start(%w), calls=%async_computation.1
  %s = {SLOW} slice(%w), slice={{[0:8], [0:128]}}
  %slice-done = f32[16,128]{{1,0:T(8,128)S(1)}} async-done(%slice-start)
  %slice-done.1 = f32[16,128]{{1,0:T(8,128)S(1)}} async-done(%slice-start.1)
  %joined = {FAST4} custom-call(%slice-done, %slice-done.1), custom_call_target="ConcatBitcast"
  %n = {SLOW4} negate(%joined)
  %t = {SLOW} slice(%n), slice={{[8:16], [0:128]}}
  %b = {SLOW} add(%a, %x)
  ROOT %r = {SLOW} add(%b, %t)"""
"""As the dump writes a sliced prefetch."""

WRAPPED = tuple(
    f"""%async_computation{suffix} (p: f32[32,128]) -> f32[16,128] {{
  %p{suffix} = {SLOW4} parameter(0)
  ROOT %part{suffix} = f32[16,128]{{1,0:T(8,128)S(1)}} slice(%p{suffix}), slice={{[{low}:{low + 16}], [0:128]}}
}}"""
    for suffix, low in (("", 0), (".1", 16))
)

SLICED_SHORT = (
    SLICED_LONG.replace("async-start", "slice-start")
    .replace("async-done", "slice-done")
    .replace("calls=%async_computation.1", "slice={[16:32], [0:128]}")
    .replace("calls=%async_computation", "slice={[0:16], [0:128]}")
)
"""As ``as_text()`` writes it."""

EVICTED = f"""
  %x = {SLOW} parameter(0)
  %w = {SLOW4} parameter(1)
  %a = {FAST} negate(%x)
  %copy-start = ({SLOW}, {FAST}, {SYNC}) copy-start(%a)
  %s = {SLOW} slice(%w), slice={{[0:8], [0:128]}}
  %copy-done = {SLOW} copy-done(%copy-start)
  %copy-start.1 = ({FAST}, {SLOW}, {SYNC}) copy-start(%copy-done)
  %n = {SLOW4} negate(%w)
  %t = {SLOW} slice(%n), slice={{[8:16], [0:128]}}
  %copy-done.1 = {FAST} copy-done(%copy-start.1)
  %b = {SLOW} add(%copy-done.1, %x)
  ROOT %r = {SLOW} add(%b, %t)"""

LOOP_COMPUTATIONS = (
    f"""%body (p: (s32[], f32[8,128], f32[8,128])) -> (s32[], f32[8,128], f32[8,128]) {{
  %p = (s32[], {SLOW}, {SLOW}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %c = {SLOW} get-tuple-element(%p), index=1
  %v = {SLOW} get-tuple-element(%p), index=2
  %one = s32[] constant(1)
  %i.1 = s32[] add(%i, %one)
  %d = {SLOW} negate(%c)
  %e = {SLOW} add(%d, %v)
  ROOT %back = (s32[], {SLOW}, {SLOW}) tuple(%i.1, %e, %v)
}}""",
    f"""%condition (q: (s32[], f32[8,128], f32[8,128])) -> pred[] {{
  %q = (s32[], {SLOW}, {SLOW}) parameter(0)
  %j = s32[] get-tuple-element(%q), index=0
  %limit = s32[] constant(3)
  ROOT %less = pred[] compare(%j, %limit), direction=LT
}}""",
)
LOOP = f"""
  %x = {SLOW} parameter(0)
  %v0 = {SLOW} parameter(1)
  %zero = s32[] constant(0)
  %a = {SLOW} negate(%x)
  %in = (s32[], {SLOW}, {SLOW}) tuple(%zero, %a, %v0)
  %loop = (s32[], {SLOW}, {SLOW}) while(%in), condition=%condition, body=%body
  %out = {SLOW} get-tuple-element(%loop), index=1
  ROOT %r = {SLOW} negate(%out)"""
"""Times: x 0, v0, zero, a, in 4; condition 5 to 8; p 9, i, c, v, one, i.1, d 15, e, back 17; loop 18, out, r 20."""

LOOP_FINAL_COMPUTATIONS = (
    f"""%body (p: (s32[], f32[8,128], f32[8,128])) -> (s32[], f32[8,128], f32[8,128]) {{
  %p = (s32[], {FAST}, {FAST}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %c = {FAST} get-tuple-element(%p), index=1
  %v.renamed = {FAST} get-tuple-element(%p), index=2
  %one = s32[] constant(1)
  %i.1 = s32[]{{:S(6)}} add(%i, %one)
  %d = {SLOW} negate(%c)
  %e = {FAST} add(%d, %v.renamed)
  ROOT %back = (s32[], {FAST}, {FAST}) tuple(%i.1, %e, %v.renamed)
}}""",
    f"""%condition (q: (s32[], f32[8,128], f32[8,128])) -> pred[] {{
  %q = (s32[], {FAST}, {FAST}) parameter(0)
  %j = s32[] get-tuple-element(%q), index=0
  %limit = s32[] constant(3)
  ROOT %less = pred[] compare(%j, %limit), direction=LT
}}""",
)
LOOP_FINAL = f"""
  %x = {SLOW} parameter(0)
  %v0 = {SLOW} parameter(1)
  %copy-start = ({FAST}, {SLOW}, {SYNC}) copy-start(%v0)
  %zero = s32[] constant(0)
  %a = {FAST} negate(%x)
  %copy-done = {FAST} copy-done(%copy-start)
  %in = (s32[], {FAST}, {FAST}) tuple(%zero, %a, %copy-done)
  %loop = (s32[], {FAST}, {FAST}) while(%in), condition=%condition, body=%body
  %out = {FAST} get-tuple-element(%loop), index=1
  ROOT %r = {SLOW} negate(%out)"""
