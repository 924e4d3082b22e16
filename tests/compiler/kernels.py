"""Small kernels, lowered for a TPU on whatever this is, and their modules."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

BODY = re.compile(r'\\22body\\22: ?\\22([^\\"]*)\\22')


def module_of(function: Callable[..., Any], *args: jax.ShapeDtypeStruct) -> str:
    """The module, in base64, of the one kernel that a function runs; with numbers of 32 bits, whoever ran before."""
    with jax.enable_x64(False):
        text = jax.jit(function).trace(*args).lower(lowering_platforms=("tpu",)).as_text()
    (body,) = BODY.findall(text)
    return str(body)


def body_of(function: Callable[..., Any], *args: jax.ShapeDtypeStruct) -> bytes:
    """The same, as bytes."""
    return base64.b64decode(module_of(function, *args))


def matrix(rows: int, columns: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((rows, columns), dtype)


def scalars(count: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((count,), jnp.int32)


def product(estimate: bool = False, size: int = 4096, block: int = 512) -> Callable[..., Any]:
    """A matrix product in blocks, with its author's estimate or without."""

    def kernel(x: Any, w: Any, out: Any, total: Any) -> None:
        @pl.when(pl.program_id(2) == 0)
        def first() -> None:
            total[...] = jnp.zeros_like(total)

        total[...] += jnp.dot(x[...], w[...], preferred_element_type=jnp.float32)

        @pl.when(pl.program_id(2) == pl.num_programs(2) - 1)
        def last() -> None:
            out[...] = jnp.exp(total[...]).astype(out.dtype)

    cost = pl.CostEstimate(flops=2 * size**3, bytes_accessed=6 * size * size, transcendentals=size * size)
    return pl.pallas_call(
        kernel,
        out_shape=matrix(size, size, jnp.bfloat16),
        grid=(size // block,) * 3,
        in_specs=[
            pl.BlockSpec((block, block), lambda i, j, k: (i, k)),
            pl.BlockSpec((block, block), lambda i, j, k: (k, j)),
        ],
        out_specs=pl.BlockSpec((block, block), lambda i, j, k: (i, j)),
        scratch_shapes=[pltpu.VMEM((block, block), jnp.float32)],
        cost_estimate=cost if estimate else None,
        name="product",
    )


def in_blocks(kernel: Callable[..., None], index: Callable[..., Any], grid: int = 8, **more: Any) -> Callable[..., Any]:
    """A kernel over blocks of 8 x 128 of a matrix, which are written where they are read."""
    spec = pl.BlockSpec((8, 128), index)
    return pl.pallas_call(kernel, out_shape=matrix(64, 128), grid=(grid,), in_specs=[spec], out_specs=spec, **more)


def chosen_blocks(choice: Any, x: Any) -> Any:
    """The blocks that a scalar operand chooses, on a grid of 4."""

    def kernel(choice: Any, x: Any, out: Any) -> None:
        out[...] = x[...] + 1.0

    grid = pltpu.PrefetchScalarGridSpec(
        num_scalar_prefetch=1,
        grid=(4,),
        in_specs=[pl.BlockSpec((8, 128), lambda i, choice: (choice[i], 0))],
        out_specs=pl.BlockSpec((8, 128), lambda i, choice: (i, 0)),
    )
    return pl.pallas_call(kernel, out_shape=matrix(32, 128), grid_spec=grid)(choice, x)


def copied(trips: int | None) -> Callable[..., Any]:
    """Copies 8 rows a trip itself, of 64: ``trips`` times, or as often as a scalar says."""

    def kernel(count: Any, x: Any, out: Any, buffer: Any, done: Any) -> None:
        def body(trip: Any, _: Any) -> None:
            copy = pltpu.make_async_copy(x.at[pl.ds(trip * 8, 8)], buffer, done)
            copy.start()
            copy.wait()
            out[...] += buffer[...]

        jax.lax.fori_loop(0, count[0] if trips is None else trips, body, None)

    return pl.pallas_call(
        kernel,
        out_shape=matrix(8, 128),
        in_specs=[pl.BlockSpec(memory_space=pltpu.SMEM), pl.BlockSpec(memory_space=pl.ANY)],
        scratch_shapes=[pltpu.VMEM((8, 128), jnp.float32), pltpu.SemaphoreType.DMA],
    )
