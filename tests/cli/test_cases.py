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
    assert f"peak         {mebibytes} MiB live" in outcome.out


def test_fixed_offsets_that_overlap(run: Run) -> None:
    outcome = run("pack", CASES / "pack_fixed_clash.csv", "--capacity", 256)
    assert outcome.code == 2
    assert "the fixed offsets clash whatever the capacity: buffers 'a' and 'b' share bytes 32 to 64" in outcome.error


def test_a_gpus_text(run: Run) -> None:
    file = CASES / "gpu_host_copies.hlo"
    outcome = run("inspect", file, "--target", "v5e")
    assert "peak         320 MiB live at t3; host memory 64 MiB; fast memory" in outcome.out
    assert "note: compiled for a GPU" in outcome.out
    assert "was compiled for a GPU" in run("solve", file, "--target", "v5e").error


def test_a_text_after_memory_space_assignment(run: Run) -> None:
    assert (
        "memory space assignment has been over"
        in run("inspect", CASES / "after_msa_donated.hlo", "--target", "v5e").error
    )
