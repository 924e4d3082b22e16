"""The other files of a dump folder, and the folder itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from xla_dump_parser import (
    LiveRange,
    LiveValue,
    ParseError,
    find_dump,
    format_shape,
    parse_buffer_assignment,
    parse_live_range,
    parse_memory_usage_report,
)

DumpText = Callable[[str], str]
MODULE = "module_0000.jit_f.cl_1"
LIVE_RANGE = f"{MODULE}.after_optimizations-live-range.txt"
BEFORE = f"{MODULE}.0001.Pre_memory_space_assignment.after_plumb-vmem-info.before_early-scalar-operand-scheduler.txt"


def test_live_range(dump_text: DumpText) -> None:
    ranges = parse_live_range(dump_text("v5e_scan_live_range"))
    assert ranges.max_time == len(ranges.schedule) == 41
    assert (ranges.schedule[0], ranges.schedule[23], ranges.schedule[40]) == ("constant.15", "while.2", "copy-done")
    assert len(ranges.ranges) == 38
    assert LiveRange("copy-start", (2,), 39, 40) in ranges.ranges
    assert ranges.peak_time == 21
    assert ranges.live_at_peak[0] == LiveValue("ws.1", (), 3670016)
    assert len(ranges.live_at_peak) == 8


def test_buffer_assignment(dump_text: DumpText) -> None:
    allocations = parse_buffer_assignment(dump_text("v5e_scan_buffer_assignment"))
    assert [a.id for a in allocations] == list(range(15))
    assert (allocations[1].parameter, allocations[1].size) == (1, 3670016)
    assert allocations[14].memory_space == 1
    phi = allocations[14].values[-1]
    assert (phi.instruction, phi.index, phi.phi, phi.offset, phi.size) == ("cond.1.clone", (0,), True, 524288, 524288)
    assert format_shape(phi.shape) == "bf16[512,512]{1,0:T(8,128)(2,1)S(1)}"
    assert phi.memory_space == 1


@pytest.mark.parametrize("program", ["v5e_scan", "v5e_transformer"])
def test_totals_of_the_usage_report_are_those_of_the_allocations(program: str, dump_text: DumpText) -> None:
    allocations = parse_buffer_assignment(dump_text(f"{program}_buffer_assignment"))
    for space in parse_memory_usage_report(dump_text(f"{program}_memory_usage_report")):
        assert space.total_bytes == sum(a.size for a in allocations if a.memory_space == space.memory_space)


def test_memory_usage_report(dump_text: DumpText) -> None:
    spaces = parse_memory_usage_report(dump_text("v5e_scan_memory_usage_report"))
    assert [(s.name, s.memory_space, s.total_bytes) for s in spaces] == [
        ("default", 0, 4805120),
        ("vmem", 1, 1048576),
        ("smem", 2, 4),
        ("color_6", 6, 512),
    ]
    row = spaces[1].allocations[0][1]
    assert (row.size, row.offset, row.values, row.shapes.split("\N{MULTIPLICATION SIGN}")) == (
        "512.0KiB",
        524288,
        4,
        ["4", "bf16[512,512]"],
    )


LIVE = """HloLiveRange (max 2):
  InstructionSequence:
    0:a
    1:b
  BufferLiveRange:
    a{}:0-1
  Live ranges at 1 (peak):
"""


@pytest.mark.parametrize(
    ("parse", "text", "line", "words"),
    [
        (parse_live_range, "", 1, "live-range dump?"),
        (parse_live_range, LIVE.replace("    1:b", "    2:b"), 4, "time 2 where 1 is due"),
        (parse_live_range, LIVE.replace("    1:b\n", ""), 4, "1 instructions"),
        (parse_live_range, LIVE.replace("0-1", "0-9"), 6, "not within 0-2"),
        (parse_live_range, LIVE.replace("{}", "{0,,1}"), 6, "not a tuple index"),
        (parse_live_range, LIVE[: LIVE.index("  Live")], 6, "cut off"),
        (parse_live_range, LIVE + "junk\n", 8, "expected"),
        (parse_buffer_assignment, "HloModule", 1, "buffer-assignment dump?"),
        (parse_buffer_assignment, "BufferAssignment:\n", 1, "no allocation"),
        (parse_buffer_assignment, "BufferAssignment:\n value: junk\n", 2, "expected 'allocation"),
        (
            parse_buffer_assignment,
            "BufferAssignment:\nallocation 0: size 4, page 0, constant:\n value: <0 a @0> (size=4,offset=1): f32[]\n",
            3,
            "ends after its allocation",
        ),
        (
            parse_buffer_assignment,
            "BufferAssignment:\nallocation 0: size 4, page 0, constant:\n value: <0 a @0> (size=4,offset=0): f32[\n",
            3,
            "expected a shape",
        ),
        (parse_memory_usage_report, "", 1, "memory-usage report?"),
        (parse_memory_usage_report, "Memory Space: vmem (color=1)\n", 1, "cut off"),
        (parse_memory_usage_report, "Memory Space: vmem (color=1)\nTotal bytes: x\n", 2, "not a line"),
    ],
)
def test_damage_is_named_with_its_line(parse: Callable[[str, str], object], text: str, line: int, words: str) -> None:
    with pytest.raises(ParseError, match=r"f\.txt:") as caught:
        parse(text, "f.txt")
    assert words in caught.value.message
    assert caught.value.line == line
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parse", "name"),
    [
        (parse_live_range, "v5e_scan_live_range"),
        (parse_buffer_assignment, "v5e_scan_buffer_assignment"),
        (parse_memory_usage_report, "v5e_scan_memory_usage_report"),
    ],
)
def test_a_corrupt_byte_at_each_position_is_read_or_refused(
    parse: Callable[[str], object], name: str, dump_text: DumpText
) -> None:
    text = dump_text(name)
    refused = 0
    for position in range(0, len(text), 3):
        corrupt = text[:position] + "{:9\n<x"[position % 7 : position % 7 + 1] + text[position + 1 :]
        try:
            parse(corrupt)
        except ParseError:
            refused += 1
    assert refused > 100


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("HloModule jit_f\n")


def test_dump_folder(tmp_path: Path) -> None:
    write(tmp_path, BEFORE, f"{MODULE}.after_codegen.txt", LIVE_RANGE, "compile.log")
    dump = find_dump(tmp_path)
    assert dump.module == MODULE
    assert dump.before_msa.name == BEFORE
    assert dump.final == tmp_path / f"{MODULE}.after_codegen.txt"
    assert dump.live_range is not None
    assert dump.buffer_assignment is None
    assert dump.log == tmp_path / "compile.log"


def test_the_schedule_that_msa_sees_goes_before_the_pass_dump(tmp_path: Path) -> None:
    seen = f"{MODULE}.after_optimizations_before_buffer_assignment.txt"
    write(tmp_path, BEFORE, seen)
    assert find_dump(tmp_path).before_msa.name == seen


def test_packed_files_are_found(tmp_path: Path) -> None:
    write(tmp_path, f"{BEFORE}.gz", f"{MODULE}.after_codegen.txt.gz")
    assert find_dump(tmp_path).final == tmp_path / f"{MODULE}.after_codegen.txt.gz"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "no schedule"),
        ((f"{MODULE}.after_codegen.txt",), "xla_dump_to=FOLDER"),
        ((BEFORE, BEFORE.replace("jit_f", "jit_g")), "2 modules here"),
        ((BEFORE, BEFORE.replace("0001", "0007")), "two schedules"),
        ((BEFORE, "a.log", "b.log"), "2 logs"),
    ],
)
def test_folders_that_are_refused(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    write(tmp_path, *names)
    with pytest.raises(ParseError, match=words):
        find_dump(tmp_path)


def test_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match="cannot read the folder"):
        find_dump(tmp_path / "missing")


def test_a_memory_space_of_no_bytes_has_no_share() -> None:
    # As libtpu 0.0.52 writes it for the gpt2-train workload on v5p: 0 of 0 bytes are "-nan" per cent.
    text = "Memory Space: smem (color=4)\nTotal bytes: 0 (0B)\n  cumulative_size;       size;       offset; "
    text += "used_by_n_values; shapes_list\n         0B(-nan%);         0B;            0;                1; s32[0]\n"
    [space] = parse_memory_usage_report(text)
    assert space.allocations[0][0].size == "0B"
    assert space.total_bytes == 0
