"""Flags of your own, as MaxText keeps them in ``compile_xla_flags``, on a mesh of four described devices.

    python examples/maxtext_flags.py

Your flags are a part of the program: XLA's default is compiled with them, and so is every candidate. The last line is
``compile_xla_flags`` for a configuration: your flags and the answer's.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import mallocgame

FLAGS = (
    "--xla_tpu_spmd_rng_bit_generator_unsafe=true --xla_tpu_enable_async_collective_fusion=true"
    " --xla_tpu_enable_async_collective_fusion_fuse_all_gather=true --xla_tpu_overlap_compute_collective_tc=true"
    " --xla_enable_async_all_gather=true --xla_tpu_assign_all_reduce_scatter_layout=true"
)


def as_dictionary(flags: str) -> dict[str, str]:
    """Compiler options of a text of flags."""
    pairs = (flag.removeprefix("--").partition("=") for flag in flags.split())
    return {name: value for name, _, value in pairs}


def block(x: jax.Array, up: jax.Array, down: jax.Array) -> jax.Array:
    return x + jax.nn.gelu(x @ up) @ down


if __name__ == "__main__":
    devices = np.array(mallocgame.described_devices("v5e", 4)).reshape(2, 2)
    mesh = Mesh(devices, ("data", "model"))

    def placed(shape: tuple[int, ...], *axes: str | None) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.bfloat16, sharding=NamedSharding(mesh, PartitionSpec(*axes)))

    x, up, down = placed((2048, 1024), "data"), placed((1024, 4096), None, "model"), placed((4096, 1024), "model")
    lowered = jax.jit(block).lower(x, up, down)
    plan = mallocgame.optimize(lowered, compiler_options=as_dictionary(FLAGS), time_limit=5, compiles=2)
    compiled = lowered.compile(compiler_options=plan.compiler_options)

    print(plan)
    print(f"compile_xla_flags: {plan.flags()}")
