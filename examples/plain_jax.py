"""A plain JAX script: optimize a function, compile it with the answer.

    python examples/plain_jax.py

On a TPU leave ``mallocgame.abstract`` out and lower with your arrays. Run it twice: the second time costs nothing.
"""

import jax
import jax.numpy as jnp

import mallocgame


def infer(x: jax.Array, weights: list[jax.Array]) -> jax.Array:
    for weight in weights:
        x = jax.nn.relu(x @ weight)
    return x


if __name__ == "__main__":
    x = jax.ShapeDtypeStruct((256, 1024), jnp.bfloat16)
    weights = [jax.ShapeDtypeStruct((1024, 1024), jnp.bfloat16)] * 8

    lowered = jax.jit(infer).lower(*mallocgame.abstract("v5p", x, weights))
    plan = mallocgame.optimize(lowered, time_limit=5, compiles=2)
    compiled = lowered.compile(compiler_options=plan.compiler_options)

    print(plan)
    print(f"{compiled.memory_analysis().temp_size_in_bytes} bytes of temporaries; kept in {plan.file}")
