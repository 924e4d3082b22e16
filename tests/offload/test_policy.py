"""What a plan tells JAX is honoured, and changes no gradient, on the CPU."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name

from mallocgame.offload.policy import NamedMoves
from workloads.offload.convolutional import tiny_convolutional
from workloads.offload.transformer import tiny_transformer

PLANS = {
    "transformer": (
        tiny_transformer,
        ["attention/input", "attention/qkv", "attention/mixed", "feed_forward/input", "feed_forward/hidden"],
        ["keep", "recompute", "offload", "offload", "recompute"],
    ),
    "convolutional": (
        tiny_convolutional,
        ["block/input", "block/first", "block/second"],
        ["offload", "keep", "recompute"],
    ),
}


def arrays(abstract: Any) -> Any:
    """Arrays of these shapes: small random numbers, and labels below 16."""
    generator = np.random.default_rng(0)

    def make(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jnp.integer):
            return jnp.asarray(generator.integers(0, 16, leaf.shape), leaf.dtype)
        return jnp.asarray(generator.normal(size=leaf.shape) * 0.05, leaf.dtype)

    return jax.tree.map(make, abstract)


def furthest(one: Any, other: Any) -> float:
    """The largest difference of two results, of each array relative to its largest element."""
    differences = jax.tree.map(lambda a, b: float(jnp.max(jnp.abs(a - b)) / (jnp.max(jnp.abs(a)) + 1e-30)), one, other)
    return max(jax.tree.leaves(differences))


@pytest.mark.filterwarnings("ignore:Some donated buffers were not usable")
@pytest.mark.parametrize("name", PLANS)
def test_a_planned_step_gives_the_same_numbers(name: str) -> None:
    build, names, moves = PLANS[name]
    plan = NamedMoves(dict(zip(names, moves, strict=True)))  # type: ignore[arg-type]
    plain, arguments = build(NamedMoves(None).remat)
    planned, _ = build(plan.remat)
    # The compute is bf16, which has 8 bits, and XLA fuses the recomputed forward pass another way.
    assert furthest(plain(*arrays(arguments)), planned(*arrays(arguments))) < 2**-6


def loss(remat: Any, scanned: bool) -> Any:
    """A loss of three layers in f32, each a block with two names; as a loop in Python, or as a scan."""

    @remat
    def block(x: jax.Array, w: jax.Array) -> jax.Array:
        hidden = checkpoint_name(jnp.sin(checkpoint_name(x, "input") @ w), "hidden")
        return x + hidden @ w.T

    def total(weights: jax.Array, x: jax.Array) -> jax.Array:
        if scanned:
            x, _ = jax.lax.scan(lambda x, w: (block(x, w), None), x, weights)
        else:
            for w in weights:
                x = block(x, w)
        return (x**2).sum()

    return total


@pytest.mark.parametrize("scanned", [False, True])
@pytest.mark.parametrize("outer", [False, True], ids=["", "within remat"])
@pytest.mark.parametrize("hidden", ["offload", "recompute"])
def test_the_policy_survives_jit_grad_scan_and_remat(scanned: bool, outer: bool, hidden: Any) -> None:
    weights, x = arrays((jax.ShapeDtypeStruct((3, 8, 8), jnp.float32), jax.ShapeDtypeStruct((4, 8), jnp.float32)))
    plan = NamedMoves({"input": "offload", "hidden": hidden})
    planned = loss(plan.remat, scanned)
    if outer:
        planned = jax.checkpoint(planned, policy=plan.policy)
    gradient = jax.jit(jax.grad(planned))
    expected = jax.jit(jax.grad(loss(lambda block: block, scanned)))(weights, x)
    assert furthest(gradient(weights, x), expected) < 1e-6
    lowered = gradient.trace(weights, x).lower(lowering_platforms=("tpu",)).as_text()
    there_and_back = 2 * (1 if scanned else 3) * len(plan.names("offload"))
    assert lowered.count("@annotate_device_placement") >= there_and_back


def test_python_to_paste_is_the_policy() -> None:
    plan = NamedMoves({"a": "keep", "b": "offload", "c": "recompute", "d": "offload"})
    space: dict[str, Any] = {}
    exec(plan.to_python(), space)
    weights, x = jnp.ones((3, 4, 4)), jnp.ones((2, 4))
    one = jax.make_jaxpr(jax.grad(loss(space["remat"], False)))(weights, x)
    other = jax.make_jaxpr(jax.grad(loss(plan.remat, False)))(weights, x)
    assert str(one).count("remat") == str(other).count("remat") > 0
    assert "Recomputed in the backward pass: c." in plan.to_python()
    space = {}
    exec(NamedMoves(None).to_python(), space)
    assert space["remat"](loss) is loss
