"""What the compiler says of a program that does not fit: the short message, the long one, the log, and damage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xla_dump_parser import ParseError
from xla_dump_parser.out_of_memory import (
    LargeAllocation,
    OutOfMemory,
    parse_out_of_memory,
    says_out_of_memory,
    size_in_bytes,
)

GIB = 2**30

SHORT = (
    "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the total memory required for HLO "
    "temporaries (17.00G) exceeds available HBM (15.75G). HLO module: jit_step.\n"
    "See https://openxla.org/xla/errors/error_1000 for more details."
)
"""Of libtpu 0.0.52."""

USED = "Ran out of memory in memory space hbm. Used 20.50G of 15.48G hbm. Exceeded hbm capacity by 5.02G.\n\n"

LONG = rf"""RESOURCE_EXHAUSTED: {USED}
Total hbm usage >= 21.02G:
    reserved        530.00M
    program          20.50G
    arguments            0B

Output size 0B; shares 0B with arguments.

Program hbm requirement 20.50G:
    global            4.0K
    HLO temp         20.50G (100.0% utilization: Unpadded (5.00G) Padded (20.50G), 0.0% fragmentation (0B))

  Largest program allocations in hbm:

  1. Size: 16.00G
     Operator: op_name="jit(f)/take[mode=\"fill\"]" source_file="model.py" source_line=12
     Shape: f32[33554432,1]{{1,0:T(8,128)}}
     Unpadded size: 128.00M
     Extra memory due to padding: 15.88G (128.0x expansion)
     XLA label: fusion.1 = fusion(param.1), kind=kLoop, calls=fused_computation
     Allocation type: HLO temp
     ==========================

  2. Size: 4.50G
     Shape: (f32[], bf16[8]{{0}})
     XLA label: sort.2 = sort(...)
     Allocation type: arguments
     ==========================
"""
"""As older versions write it; figures made up."""

PREFIXED = "\n".join(
    f"2020-05-04 09:05:40.719745: E    1578 tensorflow/xla_util.cc:76] {line}" for line in LONG.split("\n")
)

LOG = """I1201 12:26:39.612169   20880 buffer_assignment.cc:3790] Trying strategy: 0, 3
E1201 12:26:39.634723   20880 compiler.cc:3582] XLA:TPU compile permanent error. Ran out of memory in memory space \
hbm. Used 17.00G of 15.75G hbm. Exceeded hbm capacity by 1.25G. HLO module: jit_step. Memory usage report:\x20

Memory Space: default (color=0)
Total bytes: 18253635584 (17.00GiB)
  cumulative_size;       size;       offset; used_by_n_values; shapes_list
  ------------------------------------------------------------
    8.00GiB( 89%);    8.00GiB;            0;                2; bf16[65536,65536], f32[67108864,2]


I1201 12:26:40.000000   20880 compiler.cc:1] going on
"""


def test_short() -> None:
    assert parse_out_of_memory(SHORT) == OutOfMemory("jit_step", "hbm", 17 * GIB, round(15.75 * GIB), (), ())


@pytest.mark.parametrize("text", [LONG, PREFIXED, f"before\n{LONG}after"])
def test_long(text: str) -> None:
    said = parse_out_of_memory(text)
    assert (said.module, said.space, said.used, said.available) == ("", "hbm", round(20.5 * GIB), round(15.48 * GIB))
    assert said.largest == (
        LargeAllocation(
            size=16 * GIB,
            plain_size=2**27,
            shape="f32[33554432,1]{1,0:T(8,128)}",
            op_name='jit(f)/take[mode=\\"fill\\"]',
            source="model.py:12",
            label="fusion.1 = fusion(param.1), kind=kLoop, calls=fused_computation",
            kind="HLO temp",
        ),
        LargeAllocation(
            round(4.5 * GIB), round(4.5 * GIB), "(f32[], bf16[8]{0})", "", None, "sort.2 = sort(...)", "arguments"
        ),
    )


def test_log() -> None:
    said = parse_out_of_memory(LOG)
    assert (said.module, said.space) == ("jit_step", "hbm")
    (space,) = said.report
    assert (space.name, space.total_bytes, space.allocations[0][0].shapes) == (
        "default",
        18253635584,
        "bf16[65536,65536], f32[67108864,2]",
    )


@pytest.mark.parametrize(
    ("text", "size"), [("512B", 512), ("4.0K", 4096), ("3.50MiB", 3670016), ("1000.0KiB", 1024000), ("0B", 0)]
)
def test_sizes(text: str, size: int) -> None:
    assert size_in_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a healthy log", "expected 'Ran out of memory ...'"),
        (LONG.replace("Size: 16.00G", "Size: much"), "'much' is not a size such as 1.50G"),
        (LONG.replace("size: 128.00M", "size: -1"), "'-1' is not a size such as 1.50G"),
        (LOG.replace("  cumulative_size;", "  garbled;"), "not a line of a memory-usage report"),
    ],
)
def test_damage_is_one_line(text: str, words: str) -> None:
    with pytest.raises(ParseError) as raised:
        parse_out_of_memory(text, "log.txt")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.sampled_from((SHORT, LONG, PREFIXED, LOG)), st.data())
def test_any_damage_reads_or_is_told(text: str, data: st.DataObject) -> None:
    """A piece taken out, and another put in its place."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 80)))
    damaged = text[:start] + data.draw(st.text(max_size=12)) + text[end:]
    try:
        said = parse_out_of_memory(damaged)
    except ParseError:
        return
    assert says_out_of_memory(damaged)
    assert min(said.used, said.available) >= 0


@given(st.integers(0, 10**6), st.sampled_from(["", "K", "M", "G"]), st.integers(1, 30))
def test_as_many_allocations_as_are_listed(size: int, unit: str, count: int) -> None:
    rows = "".join(f"  {n}. Size: {size}{unit}B\n     Shape: f32[{n}]\n" for n in range(1, count + 1))
    said = parse_out_of_memory(f"{SHORT}\n{rows}")
    assert [row.shape for row in said.largest] == [f"f32[{n}]" for n in range(1, count + 1)]
    assert {row.size for row in said.largest} == {size_in_bytes(f"{size}{unit}")}
