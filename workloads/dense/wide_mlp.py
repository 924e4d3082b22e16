"""Dense networks."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from workloads import Built


def wide_mlp() -> Built:
    """Inference of 16 dense layers of 4096 with relu, batch 256: 32 MiB of weights a layer."""

    def infer(x: jax.Array, layers: list[jax.Array]) -> jax.Array:
        for weights in layers:
            x = jax.nn.relu(x @ weights)
        return x

    weights = jax.ShapeDtypeStruct((4096, 4096), jnp.bfloat16)
    return infer, (jax.ShapeDtypeStruct((256, 4096), jnp.bfloat16), [weights] * 16)
