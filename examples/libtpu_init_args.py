"""``LIBTPU_INIT_ARGS``: for a launcher that cannot pass compiler options, and whose process compiles one program.

    python examples/libtpu_init_args.py

libtpu reads the variable once, when it is loaded, so that the answer is for a process that is started afterwards. It
then holds for every program of that process; overrides find instructions by name, so they may hit those of others.
Flags that are in the variable already are taken as yours, and are among the answer's.
"""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp

import mallocgame


def infer(x: jax.Array, weights: jax.Array) -> jax.Array:
    return jax.lax.scan(lambda x, weight: (jnp.tanh(x @ weight), None), x, weights)[0]


def lower() -> jax.stages.Lowered:
    """The program, for a described TPU v4i."""
    x = jax.ShapeDtypeStruct((512, 512), jnp.bfloat16)
    weights = jax.ShapeDtypeStruct((8, 512, 512), jnp.bfloat16)
    return jax.jit(infer).lower(*mallocgame.abstract("v4 lite", x, weights))


if __name__ == "__main__":
    if "--job" in sys.argv:
        lower().compile()
        print(f"compiled under {len(os.environ['LIBTPU_INIT_ARGS'].split())} flags")
    else:
        plan = mallocgame.optimize(lower(), time_limit=5, compiles=2)
        print(plan, flush=True)
        job = [sys.executable, __file__, "--job"]
        subprocess.run(job, env=os.environ | {"LIBTPU_INIT_ARGS": plan.flags()}, check=True)
