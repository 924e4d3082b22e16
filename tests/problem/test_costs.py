"""MSA's formula, logged costs and analytic costs: by hand, and against what the compiler printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.reading.costs import analytic_errors, elapsed_error, reduction_error
from mallocgame.problem.build import build_problem
from mallocgame.problem.costs.accessed import AccessedBytes
from mallocgame.problem.costs.cost import Cost
from mallocgame.problem.costs.elapsed import m_elapsed
from mallocgame.problem.costs.flops import Arithmetic, Work
from mallocgame.problem.costs.logged import logged_cost, prints_as, roundest
from mallocgame.problem.costs.windows import WindowDimension, parse_window, valid_positions
from mallocgame.problem.schema import Target
from mallocgame.problem.targets import get_target
from tests.problem.captured import ALL, Captured
from xla_dump_parser import parse_hlo
from xla_dump_parser.compile_log import LoggedCost

TOY = Target("toy", 1, 1000, 1, 10.0, 100.0, 50.0, 0.5, 10**6)


def test_elapsed_by_hand() -> None:
    assert m_elapsed(TOY, 3.0, 50) == 5.0
    assert m_elapsed(TOY, 6.0, 50) == 6.0
    assert m_elapsed(TOY, 3.0, 50, fast_read_bytes=20) == pytest.approx(3.2)
    assert m_elapsed(TOY, 0.0, 50, fast_read_bytes=20, fast_write_bytes=30) == pytest.approx(0.8)


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_every_logged_time_with_all_in_hbm(captured: Captured) -> None:
    error, where = elapsed_error(captured.problem, captured.log)
    assert error <= 1e-5, where


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_every_logged_time_with_one_operand_in_fast_memory(captured: Captured) -> None:
    assert reduction_error(captured.problem, captured.log) <= 1e-5


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_analytic_costs(captured: Captured) -> None:
    analytic = build_problem(captured.module, get_target(captured.target))
    assert (captured.problem.costs, analytic.costs) == ("log", "analytic")
    assert analytic.fingerprint == captured.problem.fingerprint
    heavy, bytes_error, compute_error = analytic_errors(captured.problem, analytic)
    assert heavy >= 4
    assert bytes_error <= 1e-6
    assert compute_error <= 1e-5


def test_printed_figures_become_the_exact_ones_behind_them() -> None:
    analytic = Cost(2.18019e-05, 2097664, {(0, ()): 1048576, (1, ()): 512}, {(): 1048576})
    logged = LoggedCost(2.18019e-05, 2.09766e06, {(0, ()): 1.04858e06}, {(): 1.04858e06})
    assert logged_cost(logged, analytic) == analytic
    other = logged_cost(LoggedCost(3e-05, 4e06, {(0, ()): 2e06}, {}), analytic)
    assert other == Cost(3e-05, 4e06, {(0, ()): 2e06, (1, ()): 512}, {(): 1048576})
    assert logged_cost(LoggedCost(1e-9, -2, {(0, ()): -1}, {}), analytic).total_bytes == 0


@given(st.integers(0, 10**12))
def test_rounding_as_printed(exact: int) -> None:
    assert prints_as(exact, float(f"{exact:.6g}"))
    assert not prints_as(exact + 20 * 10 ** max(0, len(str(exact)) - 6), float(f"{exact:.6g}"))


def test_the_roundest_number_behind_a_figure() -> None:
    assert roundest(1.04858e06) == 2**20
    assert roundest(1.93413e07) == 18888 * 1024
    assert roundest(525312) == 525312
    assert roundest(-2) == -2


def test_windows() -> None:
    window = parse_window("{size=3x1 stride=2x1 pad=1_1x0_0 lhs_dilate=1x4}")
    assert window == (WindowDimension(3, 2, 1, 1, 1, 1), WindowDimension(1, 1, 0, 0, 4, 1))
    assert parse_window("") == ()


@given(
    st.builds(
        WindowDimension, st.integers(1, 6), st.integers(1, 3), st.integers(-2, 4), st.just(0), *[st.integers(1, 3)] * 2
    ),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_valid_positions_one_by_one(dimension: WindowDimension, inputs: int, outputs: int) -> None:
    count = 0
    for output in range(outputs):
        for element in range(dimension.size):
            place = output * dimension.stride + element * dimension.window_dilation - dimension.pad_low
            inside = 0 <= place <= (inputs - 1) * dimension.base_dilation
            count += inside and place % dimension.base_dilation == 0
    assert valid_positions(dimension, inputs, outputs) == count


FUSION = """HloModule m, is_scheduled=true

%scale (s: bf16[64,128]) -> bf16[64,128] {
  %s = bf16[64,128]{1,0:T(8,128)(2,1)} parameter(0)
  ROOT %exp = bf16[64,128]{1,0:T(8,128)(2,1)} exponential(%s)
}

%fused (a: bf16[64,128], b: f32[8,128,256], i: s32[], c: f32[512,256]) -> f32[512,256] {
  %a = bf16[64,128]{1,0:T(8,128)(2,1)} parameter(0)
  %b = f32[8,128,256]{2,1,0:T(8,128)} parameter(1)
  %i = s32[] parameter(2)
  %c = f32[512,256]{1,0:T(8,128)} parameter(3)
  %scaled = bf16[64,128]{1,0:T(8,128)(2,1)} fusion(%a), kind=kLoop, calls=%scale
  %both = bf16[64,128]{1,0:T(8,128)(2,1)} add(%scaled, %a)
  %zero = s32[] constant(0)
  %slice = f32[1,128,256]{2,1,0:T(8,128)} dynamic-slice(%b, %i, %zero, %zero), dynamic_slice_sizes={1,128,256}
  %w = f32[128,256]{1,0:T(8,128)} bitcast(%slice)
  %dot = f32[64,256]{1,0:T(8,128)} dot(%both, %w), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  ROOT %update = f32[512,256]{1,0:T(8,128)} dynamic-update-slice(%c, %dot, %i, %zero)
}

ENTRY %main (a1: bf16[64,128], b1: f32[8,128,256], i1: s32[], c1: f32[512,256]) -> f32[512,256] {
  %a1 = bf16[64,128]{1,0:T(8,128)(2,1)} parameter(0)
  %b1 = f32[8,128,256]{2,1,0:T(8,128)} parameter(1)
  %i1 = s32[]{:T(128)} parameter(2)
  %c1 = f32[512,256]{1,0:T(8,128)} parameter(3)
  ROOT %f = f32[512,256]{1,0:T(8,128)} fusion(%a1, %b1, %i1, %c1), kind=kOutput, calls=%fused
}
"""


def test_a_fusion_by_hand() -> None:
    module = parse_hlo(FUSION)
    fusion = module.entry.root
    accessed = AccessedBytes(module)
    operands = accessed.operands(module.entry, fusion)
    assert operands[0, ()] == 2 * 64 * 128 * 2  # by the inner fusion, and by the add
    assert operands[1, ()] == 128 * 256 * 4  # one slice of 8
    assert operands[3, ()] == 0  # updated in place
    assert accessed.outputs(module.entry, fusion) == {(): 64 * 256 * 4}
    work = Arithmetic(module).work(module.entry, fusion)
    assert work == Work(64 * 128 + 2 * 64 * 256 * 128, 64 * 128, 2 * 64 * 256 * 128, 2 * 64 * 256 * 128)


CONVOLUTION = """HloModule m, is_scheduled=true

ENTRY %main (x: f32[2,10,10,4], k: f32[3,3,4,16]) -> f32[2,5,5,16] {
  %x = f32[2,10,10,4]{3,2,1,0} parameter(0)
  %k = f32[3,3,4,16]{3,2,1,0} parameter(1)
  ROOT %c = f32[2,5,5,16]{3,2,1,0} convolution(%x, %k), dim_labels=b01f_01io->b01f, WINDOW
}
""".replace("WINDOW", "window={size=3x3 stride=2x2 pad=0_1x0_1}")


def test_a_convolution_by_hand() -> None:
    module = parse_hlo(CONVOLUTION)
    # In each dimension 5 windows of 3 elements start at 0, 2, 4, 6, 8; the last holds one element of padding.
    assert Arithmetic(module).work(module.entry, module.entry.root).flops == 2 * 2 * 16 * 4 * 14 * 14
