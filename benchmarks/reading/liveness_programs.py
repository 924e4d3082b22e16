"""Small programs for ``liveness``: what makes values share buffers, or live longer than their uses say.

    python -m benchmarks.reading.liveness_programs PROGRAM PLATFORM FOLDER

Compiles one of them, dumped into FOLDER: by its name, or the module of a capture file. PLATFORM: ``cpu``, or a topology
such as ``v5e:2x2``. The log is written to stderr.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.compute_on import compute_on
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from mallocgame.compiler.capture_file import load_capture
from mallocgame.compiler.child_main import compile_text
from mallocgame.compiler.described import describe
from mallocgame.compiler.devices import devices_of
from mallocgame.system.processes import limit_child

ROWS = 256

SHARDS = 4
"""Devices of a sharded program."""


class Program:
    """A function of arrays, all f32[rows, rows] or by ``shapes``, sharded by rows where it is ``sharded``.

    Attributes:
        function: what is compiled; for a sharded program, what each device does.
        shapes: of the arguments: rows, columns, and s32 instead of f32 where there is a third element.
        donated: numbers of the arguments that are donated.
        sharded: whether it runs on ``SHARDS`` devices, under ``jax.shard_map`` over axis ``x``.
        options: compiler options for TPU targets.
        only: beginnings of the platforms that it is for; empty for all.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *shapes: tuple[int, ...],
        donated: tuple[int, ...] = (),
        sharded: bool = False,
        options: Mapping[str, str] | None = None,
        only: tuple[str, ...] = (),
    ) -> None:
        self.function = function
        self.shapes = shapes or ((ROWS, ROWS),)
        self.donated = donated
        self.sharded = sharded
        self.options = dict(options or {})
        self.only = only

    def runs_on(self, platform: str) -> bool:
        """Whether it is for a platform."""
        return not self.only or platform.startswith(self.only)

    def lower(self, devices: list[Any]) -> Any:
        """The lowered program on the first of the devices, or on ``SHARDS`` of them."""
        if not self.sharded:
            place: Any = SingleDeviceSharding(devices[0])
            function = self.function
        else:
            mesh = Mesh(np.array(devices[:SHARDS]), ("x",))
            rows = PartitionSpec("x")
            place = NamedSharding(mesh, rows)
            function = jax.shard_map(self.function, mesh=mesh, in_specs=rows, out_specs=rows, check_vma=False)
        args = [
            jax.ShapeDtypeStruct(shape[:2], jnp.int32 if len(shape) > 2 else jnp.float32, sharding=place)
            for shape in self.shapes
        ]
        return jax.jit(function, donate_argnums=self.donated).lower(*args)


SQUARE = (ROWS, ROWS)
INDICES = (ROWS, 1, 0)
TABLE = (65536, 128)


def carried(x: jax.Array) -> Any:
    """A tuple through a loop, one element of it untouched, one summed."""

    def body(carry: Any, _: Any) -> Any:
        matrix, total, kept = carry
        return (jnp.tanh(matrix @ matrix), total + matrix.sum(), kept), matrix[0]

    return lax.scan(body, (x, 0.0, x * 2), None, length=5)


def swapped(x: jax.Array, y: jax.Array) -> Any:
    """A loop that exchanges two arrays."""
    return lax.fori_loop(0, 7, lambda i, pair: (pair[1] + 1.0, pair[0]), (x, y))


def nested(x: jax.Array) -> jax.Array:
    """Loops in a loop, of unknown length."""

    def inner(state: Any) -> Any:
        number, matrix = state
        return number + 1, jnp.sin(matrix) @ x

    def outer(i: Any, matrix: jax.Array) -> jax.Array:
        return lax.while_loop(lambda s: (s[0] < 3) & (s[1][0, 0] > 0), inner, (0, matrix + i))[1]

    return lax.fori_loop(0, 4, outer, x)


def branches(x: jax.Array, y: jax.Array) -> Any:
    """A conditional on a value, and a switch that passes arrays through."""
    one, other = lax.cond(x[0, 0] > 0, lambda a, b: (a @ b, b), lambda a, b: (jnp.sort(a), a + b), x, y)
    number = jnp.clip(one[0, 0].astype(jnp.int32), 0, 2)
    return lax.switch(number, [lambda a, b: a, lambda a, b: b * 2, lambda a, b: a @ b], one, other), other


def branch_in_loop(x: jax.Array) -> Any:
    """A loop whose body takes a branch that updates its carry in place."""

    def body(i: Any, matrix: jax.Array) -> jax.Array:
        return lax.cond(i % 2 == 0, lambda m: m.at[i].set(m[i + 1] * 2), lambda m: jnp.cos(m) @ m, matrix)

    return lax.fori_loop(0, 16, body, x)


def scattered(x: jax.Array, index: jax.Array, updates: jax.Array) -> Any:
    """Scatters into one array, and the greatest by a scatter of its own."""
    rows = index[:, 0]
    return x.at[rows].add(updates), x.at[rows].max(updates), x.at[rows, rows].set(1.0)


def scattered_in_loop(x: jax.Array, index: jax.Array) -> jax.Array:
    """A scatter into a loop's carry."""
    return lax.fori_loop(0, 8, lambda i, m: m.at[index[:, 0] + i].add(m[i]), x)


def sorts(x: jax.Array, y: jax.Array) -> Any:
    """A sort of two arrays at once, the places of a sort, the greatest."""
    return lax.sort((x, y), num_keys=1), jnp.argsort(x, axis=1), lax.top_k(y, 16)


def cache(x: jax.Array, new: jax.Array) -> Any:
    """A donated array, a row of which is written in each round of a loop."""

    def body(i: Any, memory: jax.Array) -> jax.Array:
        row = lax.dynamic_slice(new, (i, 0), (1, ROWS))
        return lax.dynamic_update_slice(memory, jnp.tanh(row), (i, 0))

    return lax.fori_loop(0, 32, body, x), new.sum()


def given_back(x: jax.Array, y: jax.Array) -> Any:
    """Donated arrays: one comes back changed, the other untouched."""
    return x + y, y


def exchanged(x: jax.Array, y: jax.Array) -> Any:
    """Donated arrays that change places."""
    return y, x


def updates(x: jax.Array, y: jax.Array) -> Any:
    """Slices written into an array that is read again afterwards, and into one that is not."""
    first = lax.dynamic_update_slice(x, y[:8], (8, 0))
    second = lax.dynamic_update_slice(jnp.exp(y), first[:16], (0, 0))
    return first, second, x.sum()


def factored(x: jax.Array) -> Any:
    """Decompositions: custom calls with several results, loops of the library's own."""
    matrix = x @ x.T + jnp.eye(ROWS)
    return jnp.linalg.cholesky(matrix), jnp.linalg.qr(x), jnp.linalg.eigh(matrix)


def solved(x: jax.Array, y: jax.Array) -> Any:
    """A factorization with pivots, and what it solves."""
    return jnp.linalg.solve(x, y), jnp.linalg.det(x)


def windows(x: jax.Array) -> Any:
    """A convolution, sums over windows, running sums, a Fourier transform."""
    image = x.reshape(1, 1, ROWS, ROWS)
    kernel = x[:3, :3].reshape(1, 1, 3, 3)
    pooled = lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (2, 2), "SAME")
    return lax.conv(image, kernel, (1, 1), "SAME"), pooled, jnp.cumsum(x, axis=0), jnp.fft.rfft(x)


def random_numbers(x: jax.Array) -> Any:
    """Random numbers by a key that a loop carries."""

    def body(carry: Any, _: Any) -> Any:
        key, total = carry
        key, one = jax.random.split(key)
        return (key, total + jax.random.normal(one, SQUARE)), None

    key = jax.random.wrap_key_data(jnp.asarray([1, 2], jnp.uint32))
    return lax.scan(body, (key, x), None, length=3)[0][1]


def barriers(x: jax.Array, y: jax.Array) -> Any:
    """Optimization barriers around what is read before and after."""
    one, other = lax.optimization_barrier((jnp.sin(x), y @ x))
    again = lax.optimization_barrier(one + other)
    return again @ one, other


def looked_up(x: jax.Array, index: jax.Array) -> Any:
    """Rows of a table, their sum by segments, and a running search."""
    rows = x[index[:, 0]]
    sums = jax.ops.segment_sum(rows, index[:, 0] % 16, num_segments=16)
    return rows, sums, jnp.searchsorted(jnp.sort(x[:, 0]), rows[:, 0])


def gradient(x: jax.Array, w: jax.Array, v: jax.Array) -> Any:
    """A training step over layers that are computed again, weights and momentum donated."""

    def loss(w: jax.Array) -> jax.Array:
        def body(y: jax.Array, _: Any) -> Any:
            return jax.checkpoint(lambda z: jnp.tanh(z @ w))(y), None

        return lax.scan(body, x, None, length=6)[0].sum()

    value, slope = jax.value_and_grad(loss)(w)
    momentum = 0.9 * v + slope
    return value, w - 0.1 * momentum, momentum


def recurrences(x: jax.Array) -> Any:
    """A scan by halves and a recurrence with two results a step."""
    halves = lax.associative_scan(lambda a, b: a * b + b, x)
    last, (rows, sums) = lax.scan(lambda c, r: (c * 0.9 + r, (c, r.sum())), x[0], x)
    return halves, last, rows, sums


def called(x: jax.Array) -> Any:
    """Computations that are called, not inlined."""

    @partial(jax.jit, inline=False)
    def inner(y: jax.Array) -> Any:
        return jnp.exp(y) + y, y

    with jax.named_scope("outer"):
        one, other = inner(x)
        two, _ = inner(one)
    return one + two, other


def asked(x: jax.Array) -> Any:
    """Calls of the host between products."""
    found = jax.pure_callback(lambda y: y, jax.ShapeDtypeStruct(SQUARE, jnp.float32), x @ x)
    jax.debug.callback(lambda y: None, found.sum())
    return found @ x


def groups_of_rows(x: jax.Array, y: jax.Array) -> Any:
    """A product of groups of rows, and one over a batch, transposed."""
    sizes = jnp.full((4,), ROWS // 4, jnp.int32)
    weights = jnp.broadcast_to(y, (4, *SQUARE))
    return lax.ragged_dot(x, weights, sizes), jnp.einsum("bij,jk->kbi", weights, x)


def on_the_host(x: jax.Array, y: jax.Array) -> Any:
    """An array kept in the host's memory while the device computes."""
    away = jax.device_put(jnp.sin(x), jax.memory.Space.Host)
    busy = y @ y @ y
    return jax.device_put(away, jax.memory.Space.Device) + busy


def by_the_host(x: jax.Array, y: jax.Array) -> Any:
    """Several steps that the host computes while the device has a product."""

    @compute_on("device_host")
    @jax.jit
    def steps(x: jax.Array) -> Any:
        one = jnp.sort(x, axis=0)
        return one * 2, jnp.cumsum(one, axis=1)

    one, other = steps(x)
    return one + y @ y, other


def kernel_in_place(x: jax.Array, y: jax.Array) -> Any:
    """A Pallas kernel that writes over its first operand, in a loop."""
    from jax.experimental import pallas as pl

    def add(one: Any, other: Any, out: Any) -> None:
        out[...] = one[...] + other[...]

    shape = jax.ShapeDtypeStruct(SQUARE, jnp.float32)
    kernel = pl.pallas_call(add, out_shape=shape, input_output_aliases={0: 0})
    return lax.fori_loop(0, 3, lambda i, m: kernel(m, y), jnp.sin(x)), kernel(x, y)


def gathered(x: jax.Array) -> Any:
    """All rows on each device, whole and tiled, beside a product."""
    return (lax.all_gather(x, "x", tiled=True) @ x.T).T, lax.all_gather(x * 2, "x").sum(0)


def reduced(x: jax.Array, y: jax.Array) -> Any:
    """Sums over devices of several arrays at once, and the greatest."""
    one, other = lax.psum((x @ x.T, y * 2), "x")
    return one, other, lax.pmax(x, "x")


def reduced_and_scattered(x: jax.Array, y: jax.Array) -> Any:
    """Sums over devices of which each keeps its rows."""
    return lax.psum_scatter(x.T @ y, "x", tiled=True), lax.psum_scatter(x.T @ x, "x", tiled=True)


def exchanged_by_all(x: jax.Array, y: jax.Array) -> Any:
    """Each device sends each other one a part."""
    return lax.all_to_all(x, "x", 1, 0, tiled=True), lax.all_to_all(y @ y.T, "x", 1, 0, tiled=True)


def _next(array: Any) -> Any:
    return lax.ppermute(array, "x", [(i, (i + 1) % SHARDS) for i in range(SHARDS)])


def passed_on(x: jax.Array, y: jax.Array) -> Any:
    """Arrays sent to the next device, one after the other."""
    one, other = _next((x, y))
    return _next(one @ other.T).T, other


def pipeline(x: jax.Array, y: jax.Array) -> Any:
    """A loop that multiplies what it has and sends it on."""

    def body(i: Any, carry: Any) -> Any:
        moving, total = carry
        return _next(moving), total + moving @ y.T @ y

    return lax.fori_loop(0, SHARDS, body, (x, jnp.zeros_like(x)))


def ragged(x: jax.Array, y: jax.Array) -> Any:
    """Parts of unequal size for each device."""
    place = jnp.arange(SHARDS, dtype=jnp.int32) * (ROWS // SHARDS // SHARDS)
    size = jnp.full((SHARDS,), ROWS // SHARDS // SHARDS, jnp.int32)
    return lax.ragged_all_to_all(x * 2, y + 1, place, size, place, size, axis_name="x")


def reduced_in_branch(x: jax.Array) -> Any:
    """A sum over devices in a loop, and one in a branch."""
    looped = lax.fori_loop(0, 4, lambda i, m: jnp.tanh(lax.psum(m, "x")), x)
    return lax.cond(looped.sum() > 0, lambda m: lax.psum(m, "x"), lambda m: m * 2, looped)


def data_parallel(x: jax.Array, w: jax.Array, v: jax.Array) -> Any:
    """A step whose gradients are scattered and whose weights are gathered; weights and momentum are donated."""

    def loss(w: jax.Array) -> jax.Array:
        weights = lax.all_gather(w, "x", tiled=True)
        return lax.scan(lambda y, _: (jnp.tanh(y @ weights), None), x, None, length=4)[0].sum()

    slope = jax.grad(loss)(w)
    momentum = 0.9 * v + slope
    return w - 0.1 * momentum, momentum


def gathered_and_passed(x: jax.Array, y: jax.Array) -> Any:
    """Collectives that do not need one another, with products to hide them behind."""
    whole = lax.all_gather(x, "x", tiled=True)
    turned = _next(y)
    busy = x @ y.T @ y
    scattered = lax.psum_scatter(whole, "x", tiled=True)
    return busy @ whole.T[:, :ROWS], turned + scattered, lax.psum(busy, "x")


def table_by_rows(table: jax.Array, index: jax.Array) -> Any:
    """Rows of a table that is spread over the devices."""
    mine = lax.axis_index("x") * table.shape[0]
    rows = table[jnp.clip(index[:, 0] - mine, 0, table.shape[0] - 1)]
    return lax.psum_scatter(jnp.tile(rows, (SHARDS, 1)), "x", tiled=True)


def sparse_lookup(table: jax.Array, index: jax.Array) -> Any:
    """Rows of a table by the SparseCore, beside a product."""

    @compute_on("tpu_sparsecore")
    @jax.jit
    def lookup(table: jax.Array, index: jax.Array) -> jax.Array:
        return table.at[index].get(mode="clip")

    busy = table[:ROWS] @ table[:ROWS].T
    return busy @ lookup(table, index[:, 0]), busy


def sparse_update(table: jax.Array, index: jax.Array, rows: jax.Array) -> Any:
    """Rows added to a donated table by the SparseCore, in a loop."""

    @compute_on("tpu_sparsecore")
    @jax.jit
    def update(table: jax.Array, index: jax.Array, rows: jax.Array) -> jax.Array:
        return table.at[index].add(rows)

    return lax.fori_loop(0, 3, lambda i, m: update(m, index[:, 0] + i, jnp.sin(rows)), table)


def embeddings(table: jax.Array, index: jax.Array, w: jax.Array) -> Any:
    """A step of embeddings: a gather, a product, and a scatter of what its gradient is."""

    def loss(table: jax.Array) -> jax.Array:
        return jnp.tanh(table[index[:, 0]] @ w).sum()

    value, slope = jax.value_and_grad(loss)(table)
    return value, table - 0.1 * slope


GATHERS = {
    "xla_tpu_enable_offloading_gather_to_sparsecore": "true",
    "xla_tpu_enable_offloading_scatter_to_sparsecore": "true",
}
COLLECTIVES = {
    "xla_tpu_enable_sparse_core_collective_offload_all_gather": "true",
    "xla_tpu_enable_sparse_core_collective_offload_2d_all_gather": "true",
    "xla_tpu_enable_sparse_core_collective_offload_reduce_scatter": "true",
    "xla_tpu_enable_sparse_core_collective_offload_all_reduce": "true",
}
SPARSE = ("v5p", "v6e", "tpu7x")
"""Targets with SparseCores."""

TALL = (4 * ROWS, ROWS)
BROAD = (4 * ROWS, 4 * ROWS)
WIDE = (16 * ROWS, 4 * ROWS)

PROGRAMS: Mapping[str, Program] = {
    "carried": Program(carried),
    "swapped": Program(swapped, SQUARE, SQUARE),
    "nested": Program(nested),
    "branches": Program(branches, SQUARE, SQUARE),
    "branch-in-loop": Program(branch_in_loop),
    "scattered": Program(scattered, SQUARE, INDICES, SQUARE),
    "scattered-in-loop": Program(scattered_in_loop, SQUARE, INDICES),
    "sorts": Program(sorts, SQUARE, SQUARE),
    "cache": Program(cache, SQUARE, SQUARE, donated=(0,)),
    "given-back": Program(given_back, SQUARE, SQUARE, donated=(0, 1)),
    "exchanged": Program(exchanged, SQUARE, SQUARE, donated=(0, 1)),
    "updates": Program(updates, SQUARE, SQUARE),
    "factored": Program(factored),
    "solved": Program(solved, SQUARE, SQUARE),
    "windows": Program(windows),
    "random-numbers": Program(random_numbers),
    "barriers": Program(barriers, SQUARE, SQUARE),
    "looked-up": Program(looked_up, SQUARE, INDICES),
    "gradient": Program(gradient, SQUARE, SQUARE, SQUARE, donated=(1, 2)),
    "recurrences": Program(recurrences),
    "called": Program(called),
    "asked": Program(asked),
    "groups-of-rows": Program(groups_of_rows, SQUARE, SQUARE),
    "on-the-host": Program(on_the_host, BROAD, BROAD, only=("v", "tpu")),
    "by-the-host": Program(by_the_host, SQUARE, SQUARE, only=("v", "tpu")),
    "kernel-in-place": Program(kernel_in_place, SQUARE, SQUARE, only=("v", "tpu")),
    "gathered": Program(gathered, TALL, sharded=True),
    "reduced": Program(reduced, TALL, TALL, sharded=True),
    "reduced-and-scattered": Program(reduced_and_scattered, TALL, TALL, sharded=True),
    "exchanged-by-all": Program(exchanged_by_all, TALL, TALL, sharded=True),
    "passed-on": Program(passed_on, TALL, TALL, sharded=True),
    "pipeline": Program(pipeline, TALL, TALL, sharded=True),
    "ragged": Program(ragged, SQUARE, SQUARE, sharded=True, only=("v", "tpu")),
    "reduced-in-branch": Program(reduced_in_branch, TALL, sharded=True),
    "data-parallel": Program(data_parallel, TALL, SQUARE, SQUARE, donated=(1, 2), sharded=True),
    "gathered-and-passed": Program(gathered_and_passed, TALL, TALL, sharded=True),
    "table-by-rows": Program(table_by_rows, TABLE, INDICES, sharded=True),
    "sparse-lookup": Program(sparse_lookup, TABLE, INDICES, options=GATHERS, only=SPARSE),
    "sparse-update": Program(sparse_update, TABLE, INDICES, (ROWS, 128), donated=(0,), options=GATHERS, only=SPARSE),
    "embeddings": Program(embeddings, TABLE, INDICES, (128, ROWS), donated=(0,), options=GATHERS, only=SPARSE),
    "sparse-collectives": Program(
        gathered_and_passed, WIDE, WIDE, sharded=True, options=COLLECTIVES, only=SPARSE
    ),
    "sparse-data-parallel": Program(
        data_parallel, WIDE, BROAD, BROAD, donated=(1, 2), sharded=True,
        options=COLLECTIVES, only=SPARSE,
    ),
}  # fmt: skip


def main(program: str, platform: str, folder: Path) -> int:
    """Compile one program, or the module of a capture file."""
    limit_child(os.getppid())
    if platform == "cpu":  # dumped by XLA_FLAGS
        lowered = PROGRAMS[program].lower(jax.devices("cpu"))
        try:
            lowered.compile(compiler_options={"xla_dump_compact_gte": False})
        except jax.errors.JaxRuntimeError:  # jaxlib 0.10 has no such option, and writes get-tuple-elements in full
            lowered.compile()
        return 0
    devices = describe(platform)
    dumps = {"xla_dump_to": str(folder), "xla_dump_compact_gte": False}
    if program in PROGRAMS:
        made = PROGRAMS[program]
        made.lower(devices).compile(compiler_options={**made.options, **dumps})
    else:
        capture = load_capture(program)
        compile_text(capture.lowered, devices[: devices_of(capture.lowered)], capture.options, dumps)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
