"""A flax training step: state and batch abstract, the state donated, the answer saved for other machines.

    python examples/flax_training.py

A training job on several hosts does this once, on any machine, and every host loads the file: hosts that search by
themselves would find different plans. ``check`` refuses another program, target or compiler.
"""

import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

import mallocgame


class Classifier(nn.Module):
    """Two hidden layers of 512."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(2):
            x = nn.relu(nn.Dense(512)(x))
        return nn.Dense(10)(x)


def train_step(state: Any, images: jax.Array, labels: jax.Array) -> tuple[Any, jax.Array]:
    """One step of gradient descent."""

    def loss(state: Any) -> jax.Array:
        picked = jnp.take_along_axis(jax.nn.log_softmax(Classifier().apply(state, images)), labels[:, None], 1)
        return -jnp.mean(picked)

    value, gradient = jax.value_and_grad(loss)(state)
    return jax.tree.map(lambda weight, change: weight - 1e-3 * change, state, gradient), value


if __name__ == "__main__":
    images = jax.ShapeDtypeStruct((256, 784), jnp.float32)
    labels = jax.ShapeDtypeStruct((256,), jnp.int32)
    state = jax.eval_shape(Classifier().init, jax.random.key(0), images)

    step = jax.jit(train_step, donate_argnums=0)
    lowered = step.lower(*mallocgame.abstract("v6e", state, images, labels))
    plan = mallocgame.optimize(lowered, time_limit=5, compiles=2)
    print(plan)

    with tempfile.TemporaryDirectory() as folder:
        plan.save(Path(folder) / "train_step.json")

        # on each host of the job
        shipped = mallocgame.load_optimized(Path(folder) / "train_step.json")
        shipped.check(lowered)
        compiled = lowered.compile(compiler_options=shipped.compiler_options)
    print(f"compiled with {len(shipped.compiler_options)} options")
