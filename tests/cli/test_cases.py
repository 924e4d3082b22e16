"""Texts that users brought, where they are beside the checkout: what ``inspect`` says of each, or why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.support import Outcome

Run = Callable[..., Outcome]
CASES = Path(__file__).parents[3] / "shared" / "data" / "cases"


@pytest.fixture(autouse=True)
def needs_the_cases() -> None:
    if not CASES.exists():
        pytest.skip("the cases are not here")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("malformed_dus", ":5:8: dynamic-update-slice 'r' has operands: 0, it needs at least 2"),
        ("malformed_reduce", ":11:8: reduce 'r' has operands: 0, it needs at least 2"),
    ],
)
def test_refused_in_one_line(run: Run, name: str, words: str) -> None:
    file = CASES / f"{name}.hlo"
    outcome = run("inspect", file, "--target", "v5e")
    assert outcome.code == 2
    assert f"{file}{words}" in outcome.error


@pytest.mark.parametrize(
    ("name", "mebibytes"),
    [
        ("origin_recovery_table", 4),
        ("opt_barrier", 20),
        ("ragged_all_to_all", 96),
        ("all_gather_multi", 32),
        ("reduce_scatter_start", 10),
        ("reduce_scatter_async", 10),
        ("call_liveness", 12),
    ],
)
def test_peak(run: Run, name: str, mebibytes: int) -> None:
    outcome = run("inspect", CASES / f"{name}.hlo", "--target", "v5e")
    assert outcome.code == 0
    assert f"peak         {mebibytes} MiB on the device live" in outcome.out


@pytest.mark.libtpu
@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("hidden", "compiled     HBM 272.41 MiB of 15.75 GiB that a program may have; host memory 256.00 MiB\n"),
        ("kept", "compiled     HBM 496.24 MiB of 15.75 GiB that a program may have\n"),
    ],
)
def test_host_memory_is_told_apart(run: Run, monkeypatch: pytest.MonkeyPatch, function: str, words: str) -> None:
    """The compiler's own figures."""
    monkeypatch.chdir(CASES)
    assert words in run("inspect", f"offload_residual:{function}", "--target", "v5e").out


PADDED = """HloModule padded, is_scheduled=true

FileNames
1 "positions.py"

FunctionNames
1 "cell"

FileLocations
1 {file_name_id=1 function_name_id=1 line=6 end_line=6 column=4 end_column=9}

StackFrames
1 {file_location_id=1 parent_frame_id=1}

ENTRY %main (p: f32[8388608,8,4]) -> f32[8388608,8,4] {
  %p = f32[8388608,8,4]{0,2,1:T(4,128)} parameter(0)
  %c = f32[8388608,8,4]{2,1,0:T(8,128)} copy(%p), metadata={op_name="cell" stack_frame_id=1}
  ROOT %r = f32[8388608,8,4]{0,2,1:T(4,128)} copy(%c)
}
"""


def test_what_fills_the_memory(run: Run, tmp_path: Path) -> None:
    """After padding_oom.py: of 4 elements the tiles of 8 x 128 make 128, so 1 GiB becomes 32."""
    (tmp_path / "padded.hlo").write_text(PADDED)
    outcome = run("inspect", tmp_path / "padded.hlo", "--target", "v5e")
    assert "peak         34 GiB on the device live at r" in outcome.out
    assert "does not fit  the peak is more than the 15.75 GiB of HBM" in outcome.out
    row = next(line for line in outcome.out.splitlines() if line.startswith("c  "))
    assert row.split() == ["c", "32", "GiB", "1", "GiB", "f32[8388608,8,4]{2,1,0:T(8,128)}", "positions.py:6"]


def test_fixed_offsets_that_overlap(run: Run) -> None:
    outcome = run("pack", CASES / "pack_fixed_clash.csv", "--capacity", 256)
    assert outcome.code == 2
    assert "the fixed offsets clash whatever the capacity: buffers 'a' and 'b' share bytes 32 to 64" in outcome.error


def test_a_gpus_text(run: Run) -> None:
    file = CASES / "gpu_host_copies.hlo"
    outcome = run("inspect", file, "--target", "v5e")
    assert "320 MiB on the device live at t3 (HBM and fast memory together); host memory 64 MiB; fast" in outcome.out
    assert "note: compiled for a GPU" in outcome.out
    assert "was compiled for a GPU" in run("solve", file, "--target", "v5e").error


def test_a_text_after_memory_space_assignment(run: Run) -> None:
    """No copies, one loop that reads 64 MiB in fast memory: that placement is XLA's, and there is no better one."""
    file = CASES / "after_msa_donated.hlo"
    outcome = run("inspect", file, "--target", "v5e")
    assert outcome.code == 0
    assert "note: a text after memory space assignment: its copies were taken out again (0)" in outcome.out
    assert "M            XLA's default 277.3 us, everything in HBM 364.2 us" in outcome.out
