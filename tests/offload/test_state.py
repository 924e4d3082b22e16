"""State in host memory: the same numbers on the CPU, and host memory of its size by the compiler."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mallocgame.offload.state import state_on_host
from mallocgame.system.errors import BadInputError

SHAPE = jax.ShapeDtypeStruct((256, 256), jnp.float32)


def momentum(weights: dict[str, jax.Array], velocity: dict[str, jax.Array], x: jax.Array) -> Any:
    gradients = jax.grad(lambda weights: (jnp.tanh(x @ weights["w"]) ** 2).sum())(weights)
    velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradients)
    return jax.tree.map(lambda w, v: w - 0.1 * v, weights, velocity), velocity


ARGUMENTS = {"w": SHAPE}, {"w": SHAPE}, SHAPE


def test_numbers_and_memory_kinds() -> None:
    step, placed = state_on_host(momentum, ARGUMENTS, {1: 1})
    kinds = [leaf.sharding.memory_kind for leaf in jax.tree.leaves(placed)]
    assert [kind == "pinned_host" for kind in kinds] == [False, True, False]
    generator = np.random.default_rng(0)
    numbers = jax.tree.map(lambda leaf: generator.standard_normal(leaf.shape, np.float32) * np.float32(0.1), ARGUMENTS)
    given = jax.tree.map(lambda array, leaf: jax.device_put(array, leaf.sharding), numbers, placed)
    found, expected = step(*given), jax.jit(momentum)(*numbers)
    assert found[1]["w"].sharding.memory_kind == "pinned_host"
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-6, atol=1e-6)


def test_state_that_is_none_is_refused() -> None:
    with pytest.raises(BadInputError, match="are not arguments and results"):
        state_on_host(momentum, ARGUMENTS, {1: 2})


@pytest.mark.libtpu
def test_the_compiler_keeps_it_on_the_host() -> None:
    from mallocgame.compiler.child import QUIET_VMODULE, Request, compile_in_child
    from mallocgame.offload.compiled import read_back
    from mallocgame.offload.links import get_link
    from mallocgame.problem.targets import get_target

    step, placed = state_on_host(momentum, ARGUMENTS, {1: 1}, donate=(0, 1))
    lowered = step.trace(*placed).lower(lowering_platforms=("tpu",)).as_text()
    compiled = compile_in_child(Request("v5e:1x1", lowered=lowered, vmodule=QUIET_VMODULE))
    found = read_back(compiled, get_target("v5e"), get_link("v5e"))
    size = 4 * 256 * 256
    assert (found.to_host, found.from_host, found.host_bytes) == (size, size, size)
