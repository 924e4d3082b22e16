"""Costs read from kernels' own modules, beside what one counts by hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from mallocgame.compiler.kernels import reading
from mallocgame.compiler.kernels.read import read_kernel
from mallocgame.compiler.kernels.tally import CONDITION, LOOP, READING
from mallocgame.problem.costs.kernels import Access, digest_of, encode
from tests.compiler import kernels
from xla_dump_parser import parse_hlo

COUNT = kernels.scalars(1)


def add_one(x: Any, out: Any) -> None:
    out[...] = x[...] + 1.0


def test_a_product_in_blocks() -> None:
    operand = kernels.matrix(4096, 4096, jnp.bfloat16)
    cost = read_kernel(kernels.body_of(kernels.product(), operand, operand))
    grid, block, size = 8**3, 512 * 512, 4096 * 4096
    assert cost.flops == 2 * 4096**3 + grid * block  # the sum over the 8 blocks of the contracted dimension
    assert cost.transcendentals == size  # in the last step of 8 alone
    # x(i, k) and w(k, j) change at each point; the result (i, j) stays for all k.
    assert cost.accesses == (Access(size, grid * block), Access(size, grid * block), Access(size, size))
    assert (cost.bounds, cost.guesses) == (0, ())


@pytest.mark.parametrize(
    ("index", "distinct", "moved"),
    [
        (lambda i: (i, 0), 8, 8),
        (lambda i: (0, 0), 1, 1),
        (lambda i: (i % 2, 0), 2, 8),
        (lambda i: (jax.lax.div(i, 2), 0), 4, 4),
        (lambda i: (jnp.minimum(i, 2), 0), 3, 3),
    ],
)
def test_blocks_that_change_along_the_grid(index: Any, distinct: int, moved: int) -> None:
    cost = read_kernel(kernels.body_of(kernels.in_blocks(add_one, index), kernels.matrix(64, 128)))
    assert cost.accesses == (Access(distinct * 1024, moved * 1024),) * 2
    assert (cost.flops, cost.guesses) == (8 * 1024, ())


def test_blocks_that_data_choose_are_other_ones_where_the_data_are() -> None:
    cost = read_kernel(kernels.body_of(kernels.chosen_blocks, kernels.scalars(4), kernels.matrix(1024, 128)))
    assert cost.accesses == (Access(None, None), Access(4 * 1024, 4 * 1024), Access(4 * 1024, 4 * 1024))


def test_conditions_on_the_grid_are_known_and_those_on_data_taken_as_met() -> None:
    def on_grid(x: Any, out: Any) -> None:
        @pl.when(pl.program_id(0) < 3)
        def met() -> None:
            add_one(x, out)

    def on_data(x: Any, out: Any) -> None:
        @pl.when(x[0, 0] > 0)
        def met() -> None:
            add_one(x, out)

    matrix = kernels.matrix(64, 128)
    known = read_kernel(kernels.body_of(kernels.in_blocks(on_grid, lambda i: (i, 0)), matrix))
    assert (known.flops, known.guesses) == (3 * 1024, ())
    met = read_kernel(kernels.body_of(kernels.in_blocks(on_data, lambda i: (i, 0)), matrix))
    assert (met.flops, met.guesses) == (8 * 1024, (CONDITION,))


def test_loops_within_a_step() -> None:
    def kernel(x: Any, out: Any) -> None:
        out[...] = x[...]

        def body(trip: Any, _: Any) -> None:
            @pl.when(trip + pl.program_id(0) < 4)
            def _() -> None:
                out[...] += 1.0

        jax.lax.fori_loop(0, 5, body, None)

    cost = read_kernel(kernels.body_of(kernels.in_blocks(kernel, lambda i: (i, 0)), kernels.matrix(64, 128)))
    assert cost.flops == (4 + 3 + 2 + 1) * 1024
    assert cost.guesses == ()


def test_what_trips_hand_on_is_followed() -> None:
    def kernel(x: Any, out: Any) -> None:
        out[...] = x[...]

        def body(trip: Any, turn: Any) -> Any:
            @pl.when(turn == pl.program_id(0))
            def met() -> None:
                out[...] += 1.0

            return jax.lax.select(turn == 2, 0, turn + 1)

        jax.lax.fori_loop(0, 7, body, 0)

    cost = read_kernel(kernels.body_of(kernels.in_blocks(kernel, lambda i: (i, 0)), kernels.matrix(64, 128)))
    assert cost.flops == (3 + 2 + 2) * 1024  # turns 0 1 2 0 1 2 0, and grid indices 3 to 7 have none
    assert cost.guesses == ()


def test_copies_that_a_kernel_makes_itself() -> None:
    matrix = kernels.matrix(64, 128)
    known = read_kernel(kernels.body_of(kernels.copied(5), COUNT, matrix))
    assert known.accesses[1] == Access(5 * 1024, 5 * 1024)
    assert (known.flops, known.guesses) == (5 * 1024, ())
    again = read_kernel(kernels.body_of(kernels.copied(20), COUNT, matrix))
    assert again.accesses[1] == Access(64 * 128, 20 * 1024)
    unknown = read_kernel(kernels.body_of(kernels.copied(None), COUNT, matrix))
    assert unknown.accesses[1] == Access(64 * 128, 64 * 128)
    assert (unknown.flops, unknown.guesses) == (8 * 1024, (READING,))


def test_a_loop_of_unknown_length_runs_once() -> None:
    def kernel(count: Any, x: Any, out: Any) -> None:
        def body(trip: Any, _: Any) -> None:
            out[...] = x[...] * 2.0

        jax.lax.fori_loop(0, count[0], body, None)

    smem, vmem = pl.BlockSpec(memory_space=pltpu.SMEM), pl.BlockSpec(memory_space=pltpu.VMEM)
    call = pl.pallas_call(kernel, out_shape=kernels.matrix(8, 128), in_specs=[smem, vmem])
    cost = read_kernel(kernels.body_of(call, COUNT, kernels.matrix(8, 128)))
    assert (cost.flops, cost.guesses) == (1024, (LOOP,))


def text_of(body: str) -> str:
    """A scheduled text with one kernel of this module."""
    config = f'{{"custom_call_config":{{"body":"{body}"}}}}'
    return (
        "HloModule m, is_scheduled=true\n\n"
        "ENTRY %main (x: f32[64,128]) -> f32[64,128] {\n"
        "  %x = f32[64,128]{1,0:T(8,128)} parameter(0)\n"
        '  ROOT %kernel = f32[64,128]{1,0:T(8,128)} custom-call(%x), custom_call_target="tpu_custom_call", '
        f"backend_config={config}\n"
        "}\n"
    )


def test_a_child_reads_the_kernels_of_a_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    body = kernels.module_of(kernels.in_blocks(add_one, lambda i: (0, 0)), kernels.matrix(64, 128))
    monkeypatch.setattr(reading, "_known", {})
    module = parse_hlo(text_of(body))
    found = reading.kernel_costs(module)
    assert list(found) == [digest_of(body)]
    assert found[digest_of(body)].accesses == (Access(1024, 1024),) * 2
    monkeypatch.setattr(reading, "_read", lambda bodies: pytest.fail("read again"))
    assert encode(reading.kernel_costs(module)) == encode(found)


def test_what_is_no_module_stays_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_known", {})
    assert reading.kernel_costs(parse_hlo(text_of("TUzvUgFNTElS"))) == {}


def test_nothing_is_read_without_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_known", {})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert reading.kernel_costs(parse_hlo(text_of("AAAA"))) == {}
