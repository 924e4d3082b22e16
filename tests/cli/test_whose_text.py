"""Which backend a text is of, and whether memory space assignment has been over it: told, or refused in one line."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from mallocgame.problem.backend import backend_of, is_untiled
from tests.cli.support import BIG, PROGRAM, TILED, Outcome
from xla_dump_parser import parse_hlo

Run = Callable[..., Outcome]
DATA = Path(__file__).parents[1] / "parser" / "data"
UNTILED = PROGRAM.replace(":T(8,128)(2,1)", "")
MULTIPLY = "multiply(%add.1, %v)"


def _custom(target: str) -> str:
    return f'custom-call(%add.1, %v), custom_call_target="{target}"'


SCHEDULED = "is_scheduled=true"
MARKED = {
    "scheduler": (SCHEDULED, SCHEDULED + ', frontend_attributes={fingerprint_before_lhs="90d0"}', "GPU"),
    "cublas": (MULTIPLY, _custom("__cublas$lt$matmul"), "GPU"),
    "cudnn": (MULTIPLY, _custom("__cudnn$convForward"), "GPU"),
    "threefry": (MULTIPLY, _custom("cu_threefry2x32_ffi"), "GPU"),
    "triton": (MULTIPLY, _custom("__gpu$xla.gpu.triton"), "GPU"),
    "queues": (
        MULTIPLY,
        MULTIPLY + ', backend_config={"operation_queue_id":"0","force_earliest_schedule":false}',
        "GPU",
    ),
    "fusion": (MULTIPLY, MULTIPLY + ', backend_config={"fusion_backend_config":{"kind":"__triton_gemm"}}', "GPU"),
    "partitions": (MULTIPLY, MULTIPLY + ', backend_config={"outer_dimension_partitions":["4"]}', "CPU"),
    "onednn": (MULTIPLY, _custom("__onednn$matmul"), "CPU"),
    "lapack": (MULTIPLY, _custom("lapack_sgetrf_ffi"), "CPU"),
}


@pytest.mark.parametrize("mark", MARKED)
def test_another_backends_text(run: Run, tmp_path: Path, mark: str) -> None:
    old, new, backend = MARKED[mark]
    file = tmp_path / "program.hlo"
    file.write_text(UNTILED.replace(old, new))
    inspected = run("inspect", file, "--target", "v5e")
    assert inspected.code == 0
    assert f"note: compiled for a {backend}, not a TPU" in inspected.out
    assert (
        "peak         12 MiB on the device live at subtract.1" in inspected.out
    )  # the parameters and three results, 2 MiB each
    for solver in ("local", "auto"):
        refused = run("solve", file, "--target", "v5e", "--solver", solver)
        assert refused.code == 2
        assert f"was compiled for a {backend}, and plans are for TPUs; `mallocgame inspect`" in refused.error


def test_a_text_without_tiles(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "program.hlo"
    file.write_text(UNTILED)
    assert "note: no array has tiles" in run("inspect", file, "--target", "v5e").out
    assert "note: no array has tiles" in run("solve", file, "--target", "v5e", "--time-limit", "0.2").out
    file.write_text(PROGRAM)
    assert "note" not in run("inspect", file, "--target", "v5e").out


@pytest.mark.parametrize(
    ("name", "backend", "untiled"),
    [
        ("cpu_final", "CPU", True),
        ("small_cpu_final", None, True),
        ("v5e_transformer_before_msa", None, False),
        ("v6e_transformer_as_text", None, False),
    ],
)
def test_real_texts(name: str, backend: str | None, untiled: bool) -> None:
    module = parse_hlo(gzip.decompress((DATA / f"{name}.txt.gz").read_bytes()).decode())
    computations = module.computations.values()
    assert (backend_of(module, computations), is_untiled(computations)) == (backend, untiled)


def test_host_memory_is_apart(run: Run, tmp_path: Path) -> None:
    """x, w, v and three results on the device, 2 MiB each; the copy of x on the host."""
    host = BIG.replace("(2,1)}", "(2,1)S(5)}")
    copies = (
        f"  %s = ({host}, {BIG}, u32[]) copy-start(%x)\n  %d = {host} copy-done(%s)\n"
        f"  %t = ({BIG}, {host}, u32[]) copy-start(%d)\n  %e = {BIG} copy-done(%t)\n"
    )
    file = tmp_path / "program.hlo"
    file.write_text(PROGRAM.replace("  %add.1", copies + "  %add.1").replace("add(%x, %w)", "add(%e, %w)"))
    out = run("inspect", file, "--target", "v5e").out
    assert "12 MiB on the device live at subtract.1 (HBM and fast memory together); host memory 2 MiB; fast" in out


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"{BIG} {MULTIPLY}", f"{BIG.replace('(2,1)}', '(2,1)S(1)}')} {MULTIPLY}"),
        (MULTIPLY, MULTIPLY + ', backend_config={"window_config":{"estimated_cycles":"9"}}'),
    ],
)
def test_after_memory_space_assignment_without_copies(run: Run, tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "program.hlo"
    file.write_text(PROGRAM.replace(old, new))
    for command in ("inspect", "solve"):
        outcome = run(command, file, "--target", "v5e")
        assert outcome.code == 0
        assert "its copies were taken out again (0), XLA's placement is the default" in outcome.out


def test_after_memory_space_assignment_for_another_chip(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "program.hlo"
    file.write_text(PROGRAM.replace(f"{BIG} {MULTIPLY}", f"{BIG.replace('(2,1)}', '(2,1)S(1)}')} {MULTIPLY}"))
    known = file.read_text().replace(MULTIPLY, MULTIPLY + ', backend_config={"estimated_cycles":"9"}')
    file.write_text(known)
    line = PROGRAM[: PROGRAM.index("%multiply.1 =")].count("\n") + 1
    outcome = run("inspect", file, "--target", "v4")
    assert outcome.code == 2
    assert f"{file}:{line}: multiply.1 is in S(1), which v4 does not have: the text is of another chip" in outcome.error


def test_what_a_kernel_asks_for_in_fast_memory_is_no_sign(run: Run, tmp_path: Path) -> None:
    fast = f"bf16[1024,1024]{TILED.replace('}', 'S(1)}')}"
    file = tmp_path / "program.hlo"
    file.write_text(PROGRAM.replace(f"{BIG} {MULTIPLY}", f"{fast} {_custom('tpu_custom_call')}"))
    assert run("inspect", file, "--target", "v5e").code == 0
