"""Real dumps: against plain counts of their lines, against each other, and against XLA's own reader."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from benchmarks.reading.oracle import Comparison, compare
from xla_dump_parser import ArrayShape, format_shape, parse_hlo, parse_live_range, walk_shape

BOTH = (
    "v5e_scan_before_msa",
    "v5e_scan_final",
    "v4lite_scan_final",
    "v5e_transformer_before_msa",
    "v5e_transformer_final",
    "small_v5e_before_msa",
    "small_v4lite_final",
    "small_cpu_final",
)
NEWER = ("v6e_scan_final", "v6e_transformer_as_text", "cpu_final", "cpu_before_optimizations")
"""Texts that Python 3.11's jaxlib refuses or reads as another version wrote them."""

DumpText = Callable[[str], str]


@pytest.mark.parametrize("name", BOTH + NEWER)
def test_every_line_with_an_assignment_is_an_instruction(name: str, dump_text: DumpText) -> None:
    text = dump_text(name)
    module = parse_hlo(text)
    written = [instruction for c in module.computations.values() for instruction in c.instructions]
    lines = text.splitlines()
    in_lines = {
        instruction.line: instruction
        for instruction in written
        if f"%{instruction.name} = " in lines[instruction.line - 1]
    }
    assert len(in_lines) == sum(" = " in line and line.startswith("  ") for line in lines)
    for line, instruction in in_lines.items():
        assert f" {instruction.opcode}(" in lines[line - 1]
        plain = re.sub(r"/\*.*?\*/", "", lines[line - 1])
        assert f" = {format_shape(instruction.shape)} " in plain


@pytest.mark.parametrize("name", BOTH)
def test_names_opcodes_operands_users_equal_the_oracles(name: str, dump_text: DumpText) -> None:
    pytest.importorskip("jaxlib._hlo")
    total = Comparison()
    compare(dump_text(name), name, total)
    assert total.differences == []
    assert total.instructions > 15


@pytest.mark.parametrize("name", NEWER)
def test_newer_dumps_equal_the_oracle_too(name: str, dump_text: DumpText) -> None:
    jaxlib = pytest.importorskip("jaxlib")
    if tuple(map(int, jaxlib.__version__.split(".")[:2])) < (0, 12):
        pytest.skip("this jaxlib cannot read it")
    total = Comparison()
    compare(dump_text(name), name, total)
    assert total.differences == []


def test_short_async_forms(dump_text: DumpText) -> None:
    entry = parse_hlo(dump_text("v6e_transformer_as_text")).entry
    starts = [instruction for instruction in entry.instructions if instruction.opcode == "slice-start"]
    assert len(starts) == 6
    for start in starts:
        assert "slice" in start.attributes
        assert [entry.by_name[user].opcode for user in entry.users[start.name]] == ["slice-done"]


GPU_LIKE = """HloModule jit_f, is_scheduled=true, entry_computation_layout={(bf16[128,256]{1,0})->f32[128]{0}}

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(f32[] %a, f32[] %b)
}

%fused_tanh (p: bf16[128,256]) -> f32[128,256] {
  %p = bf16[128,256]{1,0} parameter(0)
  %tanh = bf16[128,256]{1,0} tanh(bf16[128,256]{1,0} %p)
  ROOT %wide = f32[128,256]{1,0} convert(bf16[128,256]{1,0} %tanh)
}

ENTRY %main (in: bf16[128,256]) -> f32[128] {
  %in = bf16[128,256]{1,0} parameter(0), metadata={op_name="in"}
  %gemm = (bf16[128,256]{1,0}, s8[4194304]{0}) custom-call(%in, %in), custom_call_target="__cublas$gemm",\
 backend_config={"operation_queue_id":"0","gemm_backend_config":{"alpha_real":1,"beta":0,"epilogue":"DEFAULT"}}
  %first = bf16[128,256]{1,0} get-tuple-element(%gemm), index=0
  %start = bf16[128,256]{1,0} all-reduce-start(%first), channel_id=1, replica_groups=[1,2]<=[2],\
 use_global_device_ids=true, to_apply=%add, backend_config={"collective_backend_config":{"is_sync":false}}
  %done = bf16[128,256]{1,0} all-reduce-done(%start)
  %fused = f32[128,256]{1,0:S(5)} fusion(%done), kind=kCustom, calls=%fused_tanh
  %zero = f32[] constant(0)
  ROOT %out = f32[128]{0} reduce(%fused, %zero), dimensions={1}, to_apply=%add
}
"""


def test_gpu_like_text_equals_the_oracle() -> None:
    pytest.importorskip("jaxlib._hlo")
    total = Comparison()
    compare(GPU_LIKE, "gpu", total)
    assert total.differences == []
    assert total.instructions == 14


@pytest.mark.parametrize("program", ["v5e_scan", "v5e_transformer"])
def test_every_scheduled_name_of_the_live_range_dump_is_in_the_final_text(program: str, dump_text: DumpText) -> None:
    module = parse_hlo(dump_text(f"{program}_final"))
    schedule = parse_live_range(dump_text(f"{program}_live_range")).schedule
    names = {name for c in module.computations.values() for name in c.by_name}
    assert set(schedule) <= names
    assert [name for name in schedule if name in module.entry.by_name] == [i.name for i in module.entry.instructions]


def test_fast_memory_is_seen_after_msa_and_not_before(dump_text: DumpText) -> None:
    def spaces(name: str) -> set[int]:
        module = parse_hlo(dump_text(name))
        arrays = [a for c in module.computations.values() for i in c.instructions for _, a in walk_shape(i.shape)]
        return {array.layout.memory_space for array in arrays if isinstance(array, ArrayShape) and array.layout}

    assert spaces("v5e_scan_before_msa") == {0}
    assert spaces("v5e_scan_final") == {0, 1, 2, 6}  # HBM, VMEM, synchronisation flags, SMEM
    assert spaces("v4lite_scan_final") == {0, 2, 3, 6}  # CMEM is S(3)


def test_estimated_cycles(dump_text: DumpText) -> None:
    module = parse_hlo(dump_text("v5e_scan_final"))
    fusion = module.computations["wide.region_0.4.sunk"].by_name["fusion.21"]
    assert fusion.backend_config["window_config"]["estimated_cycles"] == "9102"
