"""Functions that tests compile, and that go wrong, as a user would give them: ``tests.compiler.models:NAME``."""

from __future__ import annotations

import time
from typing import Any

DOTS = """module @m attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%a: tensor<1024x1024xbf16>, %b: tensor<1024x1024xbf16>) -> tensor<1024x1024xbf16> {
    %0 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0]
      : (tensor<1024x1024xbf16>, tensor<1024x1024xbf16>) -> tensor<1024x1024xbf16>
    %1 = stablehlo.tanh %0 : tensor<1024x1024xbf16>
    %2 = stablehlo.dot_general %1, %b, contracting_dims = [1] x [0]
      : (tensor<1024x1024xbf16>, tensor<1024x1024xbf16>) -> tensor<1024x1024xbf16>
    return %2 : tensor<1024x1024xbf16>
  }
}
"""
"""Two products, as a lowered module."""


def layers() -> tuple[Any, Any]:
    """Three dense layers; small enough to compile in a second."""
    import jax
    import jax.numpy as jnp

    def run(x: Any, weights: list[Any]) -> Any:
        for weight in weights:
            x = jnp.tanh(x @ weight)
        return x

    shape = jax.ShapeDtypeStruct((256, 256), jnp.bfloat16)
    return run, (shape, [shape] * 3)


def at_o1() -> tuple[Any, Any]:
    """``layers`` where JAX is set to optimization level O1."""
    import jax

    jax.config.update("jax_optimization_level", "O1")
    return layers()


def looped() -> tuple[Any, Any]:
    """A scan with a carried array, a weight that it passes through, and a use of that weight after it."""
    import jax
    import jax.numpy as jnp

    def run(x: Any, weight: Any) -> Any:
        y, _ = jax.lax.scan(lambda c, _: (jnp.tanh(c @ weight), None), x, None, length=6)
        return jnp.sin(y @ weight) @ weight

    shape = jax.ShapeDtypeStruct((512, 512), jnp.bfloat16)
    return run, (shape, shape)


def converging() -> tuple[Any, Any]:
    """A loop that goes on while what it carries is large, as solvers of equations do."""
    import jax
    import jax.numpy as jnp

    def run(x: Any, weight: Any) -> Any:
        start = jnp.sin(x @ weight)
        return jnp.tanh(jax.lax.while_loop(lambda c: jnp.max(jnp.abs(c)) > 1e-3, lambda c: c @ weight, start) @ weight)

    shape = jax.ShapeDtypeStruct((512, 512), jnp.bfloat16)
    return run, (shape, shape)


def kept() -> tuple[Any, Any]:
    """A product that two loops and a multiplication read, one after the other."""
    import jax
    import jax.numpy as jnp

    def run(x: Any, weight: Any) -> Any:
        product = jnp.tanh(x @ weight)
        y, _ = jax.lax.scan(lambda c, _: (jnp.tanh(c @ product), None), jnp.sin(x @ weight.T), None, length=4)
        y, _ = jax.lax.scan(lambda c, _: (jnp.sin(c @ product), None), jnp.cos(y @ weight), None, length=4)
        return jnp.tanh(y @ weight) @ product

    shape = jax.ShapeDtypeStruct((512, 512), jnp.bfloat16)
    return run, (shape, shape)


def returned() -> tuple[Any, Any]:
    """Three kinds of results: carried by a loop, read again later, and a donated weight that is updated in place."""
    import jax
    import jax.numpy as jnp

    def run(weight: Any, x: Any, other: Any) -> Any:
        hidden = jnp.tanh(x @ other)
        carried, _ = jax.lax.scan(
            lambda c, _: (jnp.tanh(c @ other) + c, None), jnp.sin(hidden @ weight), None, length=6
        )
        return weight - hidden.T @ carried, hidden, carried

    shape = jax.ShapeDtypeStruct((512, 512), jnp.bfloat16)
    return jax.jit(run, donate_argnums=0), (shape, shape, shape)


def products() -> tuple[Any, Any]:
    """Two branches of products; whichever comes first, what it gives is first read after the other branch."""
    import jax
    import jax.numpy as jnp

    def run(x: Any, weights: list[Any]) -> Any:
        one = jnp.tanh(x @ weights[0])
        other = jnp.tanh(jnp.tanh(x @ weights[1]) @ weights[2])
        return jnp.tanh(one @ other) @ weights[3]

    shape = jax.ShapeDtypeStruct((512, 512), jnp.bfloat16)
    return run, (shape, [shape] * 4)


def sharded() -> tuple[Any, Any]:
    """Two blocks of two products over 2 x 2 devices: each block ends in an all-reduce over half of them."""
    import jax
    import jax.numpy as jnp
    from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec

    mesh = AbstractMesh((2, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)

    def place(shape: tuple[int, ...], *axes: str | None) -> Any:
        return jax.ShapeDtypeStruct(shape, jnp.bfloat16, sharding=NamedSharding(mesh, PartitionSpec(*axes)))

    def run(x: Any, blocks: list[Any]) -> Any:
        for up, down in blocks:
            x = jnp.tanh(x + jnp.tanh(x @ up) @ down)
        return x

    block = (place((512, 1024), None, "model"), place((1024, 512), "model"))
    return run, (place((1024, 512), "data"), [block] * 2)


def on_mesh(mesh: Any) -> tuple[Any, Any]:
    """Two products over all devices of a mesh with one axis."""
    import jax
    import jax.numpy as jnp
    from jax.sharding import NamedSharding, PartitionSpec

    def place(*axes: str | None) -> Any:
        sharding = NamedSharding(mesh, PartitionSpec(*axes))
        return jax.ShapeDtypeStruct((512, 512), jnp.bfloat16, sharding=sharding)

    rows = place("all")
    run = jax.jit(lambda x, w: jnp.tanh(x @ w) @ w, out_shardings=rows.sharding)
    return run, (rows, place(None, "all"))


def mesh_of(devices: Any) -> Any:
    import numpy as np
    from jax.sharding import AxisType, Mesh

    return Mesh(np.array(devices), ("all",), axis_types=(AxisType.Auto,))


def made_mesh() -> tuple[Any, Any]:
    """On the mesh that JAX makes of four devices: their ids are 0, 1, 3, 2."""
    import jax
    from jax.sharding import AxisType

    import mallocgame

    devices = mallocgame.described_devices("v5e", 4)
    return on_mesh(jax.make_mesh((4,), ("all",), axis_types=(AxisType.Auto,), devices=devices))


def two_slices() -> Any:
    """Lowered for two slices of four devices each."""
    import mallocgame

    function, args = on_mesh(mesh_of(mallocgame.described_devices("v5e", 8, slices=2)))
    return function.lower(*args)


def many_devices() -> Any:
    """Traced for 32 devices of any chip."""
    from jax.sharding import AbstractMesh, AxisType

    function, args = on_mesh(AbstractMesh((32,), ("all",), axis_types=(AxisType.Auto,)))
    return function.trace(*args)


def named() -> tuple[Any, Any, Any]:
    """A function with an argument by name, and a split of its own."""
    import jax
    import jax.numpy as jnp

    shape = jax.ShapeDtypeStruct((256, 256), jnp.bfloat16)
    run = jax.jit(lambda x, *, w: jnp.tanh(x @ w), compiler_options={"xla_tpu_scoped_vmem_limit_kib": 32768})
    return run, (shape,), {"w": shape}


def calls_back() -> tuple[Any, Any]:
    """Prints a sum, and has the host compute a factor."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    def run(x: Any) -> Any:
        y = jnp.tanh(x @ x)
        total = jnp.sum(y.astype(jnp.float32))
        jax.debug.print("sum {}", total)
        factor = jax.pure_callback(np.sqrt, jax.ShapeDtypeStruct((), jnp.float32), total)
        return (y * factor.astype(y.dtype)) @ x

    return run, (jax.ShapeDtypeStruct((256, 256), jnp.bfloat16),)


def raises() -> Any:
    """Goes wrong with a message of two lines."""
    raise ValueError("first line\nsecond line")


def wrong_contract() -> Any:
    """Does not return (function, arguments)."""
    return 5


def does_not_trace() -> Any:
    """A function that JAX cannot trace at its arguments."""
    import jax
    import jax.numpy as jnp

    def run(x: Any) -> Any:
        return x @ jnp.ones((3, 3))

    return run, (jax.ShapeDtypeStruct((4, 4), jnp.float32),)


def sleeps() -> Any:
    """Never ends in reasonable time."""
    time.sleep(600)


def takes_memory() -> Any:
    """Takes 3 GiB and stays."""
    held = bytearray(3 * 2**30)
    time.sleep(600)
    return held


def exits() -> Any:
    """Ends the whole process."""
    import os

    os._exit(7)


def read_again() -> tuple[Any, Any]:
    """A product that is read at once, in the middle of a chain of products, and at its end."""
    import jax
    import jax.numpy as jnp

    def run(x: Any, weights: list[Any]) -> Any:
        first = jnp.tanh(x @ weights[0])
        y = first
        for weight in weights[1:9]:
            y = jnp.tanh(y @ weight)
        y = jnp.tanh(y @ first)
        for weight in weights[9:17]:
            y = jnp.tanh(y @ weight)
        return jnp.tanh(y @ first), y

    shape = jax.ShapeDtypeStruct((1024, 1024), jnp.bfloat16)
    return run, (shape, [shape] * 17)


def kernel() -> tuple[Any, Any]:
    """A product by a kernel without its author's estimate, between two that XLA computes."""
    return _around(estimate=False)


def estimated_kernel() -> tuple[Any, Any]:
    """``kernel``, with an estimate."""
    return _around(estimate=True)


def _around(estimate: bool) -> tuple[Any, Any]:
    import jax.numpy as jnp

    from tests.compiler.kernels import matrix, product

    def run(x: Any, w: Any) -> Any:
        return jnp.tanh(product(estimate)(jnp.tanh(x @ w), w))

    shape = matrix(4096, 4096, jnp.bfloat16)
    return run, (shape, shape)


def across_a_kernel() -> tuple[Any, Any]:
    """Values of 40 MiB before and after a Pallas kernel that asks for 100 MiB of scoped VMEM."""
    import jax
    import jax.numpy as jnp
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import tpu as pltpu

    def kernel(x: Any, w: Any, out: Any) -> None:
        out[...] = jnp.dot(x[...], w[...], preferred_element_type=jnp.float32).astype(out.dtype)

    def multiply(x: Any, w: Any, block: int = 512) -> Any:
        return pl.pallas_call(
            kernel,
            out_shape=jax.ShapeDtypeStruct((x.shape[0], w.shape[1]), x.dtype),
            grid=(x.shape[0] // block, w.shape[1] // block),
            in_specs=[
                pl.BlockSpec((block, x.shape[1]), lambda i, j: (i, 0)),
                pl.BlockSpec((w.shape[0], block), lambda i, j: (0, j)),
            ],
            out_specs=pl.BlockSpec((block, block), lambda i, j: (i, j)),
            compiler_params=pltpu.CompilerParams(vmem_limit_bytes=100 * 2**20),
        )(x, w)

    def run(x: Any, w: Any, z: Any) -> Any:
        before = jnp.cumsum(jnp.tanh(z * 2), axis=0)
        y = multiply(x, w)
        scale = y[:1, :1] + before[:1, :1].astype(y.dtype)
        return jnp.tanh(before * scale.astype(before.dtype)) @ w[:, :128], y

    square = jax.ShapeDtypeStruct((2048, 2048), jnp.bfloat16)
    return run, (square, square, jax.ShapeDtypeStruct((10240, 2048), jnp.bfloat16))
