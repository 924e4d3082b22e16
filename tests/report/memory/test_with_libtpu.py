"""Programs that JAX has, compiled here: bytes by role as the shapes say, to the byte."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from mallocgame import api
from mallocgame.system.errors import BadInputError
from workloads.sharded.dense import data_parallel_train

pytestmark = pytest.mark.libtpu

WIDE, BATCH = 1024, 4096
WEIGHTS = {"in": (256, WIDE), "mid": (WIDE, WIDE), "out": (WIDE, 256)}
BYTES = 4 * sum(rows * columns for rows, columns in WEIGHTS.values())
COUNT = 512
"""Of the padded counter."""


def _adam(donate: bool) -> tuple[Any, tuple[Any, ...]]:
    """An Adam step whose arguments have names that say nothing: a, b, c, d and e."""

    def loss(a: Any, x: jax.Array) -> jax.Array:
        hidden = jnp.tanh(jnp.tanh(x @ a["in"]) @ a["mid"])
        return jnp.mean((hidden @ a["out"]) ** 2)

    def step(a: Any, b: Any, c: Any, d: jax.Array, e: jax.Array) -> Any:
        gradients = jax.grad(loss)(a, e)
        b = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, b, gradients)
        c = jax.tree.map(lambda v, g: 0.99 * v + 0.01 * g * g, c, gradients)
        a = jax.tree.map(lambda w, m, v: w - 0.001 * m / (jnp.sqrt(v) + 1e-8), a, b, c)
        return a, b, c, d + 1

    tree = {name: jax.ShapeDtypeStruct(dims, jnp.float32) for name, dims in WEIGHTS.items()}
    arguments = (tree, tree, tree, jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((BATCH, 256), jnp.float32))
    return jax.jit(step, donate_argnums=(0, 1, 2, 3) if donate else ()), arguments


def test_an_adam_step() -> None:
    """Both moments and the counter; the weights; the batch. What is saved is tanh's outputs, of which none fits."""
    function, arguments = _adam(donate=True)
    use = api.memory(function, args=arguments, target="v5e")
    assert use.target == "v5e"
    assert use.code_bytes > 0
    kept = use.peaks[0]
    totals = kept.by_role()
    assert totals["optimizer state"] == 2 * BYTES + COUNT
    assert totals["weights"] == BYTES
    assert totals["other inputs"] == 4 * BATCH * 256
    assert totals.get("not known", 0) == 0
    donated = [one for one in kept.buffers if one.role == "optimizer state" and one.size > COUNT]
    assert {one.kept.why if one.kept else None for one in donated} == {"donated"}


def test_an_adam_step_that_is_not_donated() -> None:
    """Its outputs are state, too; told apart by what they are computed from. A ``Lowered`` has its arguments."""
    function, arguments = _adam(donate=False)
    lowered = function.trace(*arguments).lower(lowering_platforms=("tpu",))
    (kept,) = api.memory(lowered, target="v5e").peaks
    totals = kept.by_role()
    assert totals["optimizer state"] == 2 * (2 * BYTES + COUNT)
    assert totals["weights"] == 2 * BYTES


def test_a_replicated_state() -> None:
    """Eight layers of f32[2048,2048] and their momentum on each of four devices."""
    function, arguments = data_parallel_train()
    use = api.memory(function, args=arguments, target="v5e")
    found = next(one for one in use.findings if one.kind == "replicated")
    whole = 16 * 4 * 2048 * 2048
    assert found.size == whole - whole // 4
    assert (
        "are the same on 4 devices of axis data of the mesh: 256 MiB on each (weights and optimizer state)"
        in found.words
    )
    totals = use.peaks[0].by_role()
    assert (totals["weights"], totals["optimizer state"]) == (whole // 2, whole // 2)


def test_a_function_that_does_not_fit() -> None:
    big = jax.ShapeDtypeStruct((1 << 17, 1 << 16), jnp.float32)
    use = api.memory(lambda x: jnp.sort(x, axis=0), args=(big,), target="v5e")
    assert not use.fits
    assert use.spaces[0].excess > 2**34


def test_what_is_refused() -> None:
    with pytest.raises(BadInputError, match="has its arguments already"):
        api.memory("x.mgz", args=(1,))
    with pytest.raises(BadInputError, match="a module is chosen of a dump folder"):
        api.memory(jax.jit(jnp.sin), module="m")
    with pytest.raises(BadInputError, match="a int cannot be optimized"):
        api.memory(5, target="v5e")
