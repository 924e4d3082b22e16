"""State in host memory: its leaf groups, the same numbers on the CPU, and host memory of its size by the compiler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec

from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.program import Training, load_training, lower_training
from mallocgame.offload.state import groups_of, with_state_on_host
from mallocgame.system.errors import BadInputError
from workloads.offload.adam import tiny_adam

SHAPE = jax.ShapeDtypeStruct((256, 256), jnp.float32)
SIZE = 3 * 2 * 128 * 512 * 4
"""Bytes of the weights of ``tiny_adam``, and of each of its moments."""


def momentum(weights: dict[str, jax.Array], velocity: dict[str, jax.Array], x: jax.Array) -> Any:
    gradients = jax.grad(lambda weights: (jnp.tanh(x @ weights["w"]) ** 2).sum())(weights)
    velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradients)
    return jax.tree.map(lambda w, v: w - 0.1 * v, weights, velocity), velocity


ARGUMENTS = {"w": SHAPE}, {"w": SHAPE}, SHAPE


def sizes(program: Any, arguments: Any) -> dict[str, int]:
    return {group.name: group.size for group in groups_of(program, arguments, {})}


def test_groups_are_fields_or_whole_arguments() -> None:
    assert sizes(*tiny_adam()) == {"0": SIZE, "1.mu": SIZE, "1.nu": SIZE}
    assert sizes(jax.jit(momentum, donate_argnums=(0, 1)), ARGUMENTS) == {"0": 2**18, "1": 2**18}
    assert sizes(momentum, ARGUMENTS) == {}  # what is not donated is there after the step anyway


def test_entries_that_are_alike_are_groups() -> None:
    def step(state: Any, x: jax.Array) -> Any:
        weights, velocity = momentum(state["params"], state["velocity"], x)
        return {"params": weights, "velocity": velocity}

    state = {"params": {"w": SHAPE}, "velocity": {"w": SHAPE}}
    assert sizes(jax.jit(step, donate_argnums=0), (state, SHAPE)) == {"0['params']": 2**18, "0['velocity']": 2**18}


@jax.tree_util.register_dataclass
@dataclass
class Variable:
    """As flax has it around each leaf."""

    value: Any


def test_entries_that_are_alike_are_groups_wherever_they_are() -> None:
    """All of a training state in one argument, as flax's nnx and so MaxText have it."""

    def step(state: Any, x: jax.Array) -> Any:
        return jax.tree.map(lambda leaf: leaf + x.sum(), state)

    def layers() -> Any:
        kernel = {"kernel": Variable(SHAPE)}
        return {"layers": {"query": kernel, "key": kernel}, "embedding": Variable(SHAPE)}

    moments = [{"mu": layers(), "nu": layers(), "count": Variable(jax.ShapeDtypeStruct((), jnp.float32))}]
    state = {"model": layers(), "optimizer": {"opt_state": moments}, "kept": {"a": SHAPE, "b": SHAPE}}
    found = sizes(jax.jit(step, donate_argnums=0), (state, SHAPE))
    moment = "0['optimizer']['opt_state'][0]"
    each = 3 * 2**18
    assert found == {"0['kept']": 2 * 2**18, f"{moment}['mu']": each, f"{moment}['nu']": each, "0['model']": each}
    # Three of 2^18 bytes each, of which two are alike, are half; beside a larger one they are less.
    assert set(sizes(jax.jit(step, donate_argnums=0), (layers(), SHAPE))) == {
        "0['layers']['query']", "0['layers']['key']", "0['embedding']"
    }  # fmt: skip
    larger = layers() | {"embedding": Variable(jax.ShapeDtypeStruct((256, 1024), jnp.float32))}
    assert set(sizes(jax.jit(step, donate_argnums=0), (larger, SHAPE))) == {"0"}


@pytest.mark.parametrize("names", [("1.nu",), ("1.mu", "0")])
def test_numbers_and_memory_kinds(names: tuple[str, ...]) -> None:
    plain, arguments = tiny_adam()
    step, placed = with_state_on_host(plain, arguments, {}, names)
    on_host = {"0": range(6), "1.mu": range(6, 12), "1.nu": range(12, 18)}
    expected = sorted(leaf for name in names for leaf in on_host[name])
    kinds = [leaf.sharding.memory_kind for leaf in jax.tree.leaves(placed)]
    assert [at for at, kind in enumerate(kinds) if kind == "pinned_host"] == expected
    generator = np.random.default_rng(0)
    numbers = jax.tree.map(lambda leaf: np.abs(generator.standard_normal(leaf.shape)).astype(leaf.dtype), arguments)
    given = jax.tree.map(lambda array, leaf: jax.device_put(array, leaf.sharding), numbers, placed)
    found, reference = step(*given), jax.jit(lambda *each: plain(*each))(*numbers)
    kinds = [leaf.sharding.memory_kind for leaf in jax.tree.leaves(found)]
    assert [at for at, kind in enumerate(kinds) if kind == "pinned_host"] == expected
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(reference), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-5, atol=1e-6)


def test_state_that_is_none_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"'2' is no leaf group of state; known: 1\.mu, 1\.nu, 0"):
        replace(Training("adam", tiny_adam), state=("2",)).make()


@pytest.mark.libtpu
def test_the_compiler_keeps_it_on_the_host() -> None:
    from mallocgame.compiler.child import QUIET_VMODULE, Request, compile_in_child
    from mallocgame.offload.compiled import read_back
    from mallocgame.offload.links import get_link
    from mallocgame.problem.targets import get_target

    lowered = lower_training(load_training(tiny_adam, state=("1.nu",)), NamedMoves({}), False, "v5e")
    compiled = compile_in_child(Request("v5e:1x1", lowered=lowered.text, vmodule=QUIET_VMODULE))
    found = read_back(compiled, get_target("v5e"), get_link("v5e"))
    assert (found.to_host, found.from_host, found.host_bytes) == (SIZE, SIZE, SIZE)


def sharded() -> Any:
    mesh = AbstractMesh((4,), ("devices",), axis_types=(AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("devices"))
    step, arguments = tiny_adam()
    shaped: Any = jax.ShapeDtypeStruct
    return step, jax.tree.map(lambda leaf: shaped(leaf.shape, leaf.dtype, sharding=sharding), arguments)


def test_state_of_several_devices_keeps_its_shardings() -> None:
    training = load_training(sharded, state=("1.nu",))
    _, placed, _ = training.make()
    assert {leaf.sharding.spec for leaf in jax.tree.leaves(placed)} == {PartitionSpec("devices")}
    lowering = lower_training(training, NamedMoves({"hidden": "keep"}), False, "v5e")
    assert lowering.topology == "v5e:2x2"
    main = next(line for line in lowering.text.splitlines() if "func.func public @main" in line)
    given, results = main.split(" -> ")
    assert (given.count("pinned_host"), results.count("pinned_host")) == (6, 6)
