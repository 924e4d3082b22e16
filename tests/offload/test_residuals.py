"""The problem of a JAX program, with every figure worked out by hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.ad_checkpoint import checkpoint_name

from mallocgame.offload.jaxpr_costs import flatten, live_bytes, seconds_of
from mallocgame.offload.policy import NamedMoves, named_moves
from mallocgame.offload.problem import Near
from mallocgame.offload.program import Remat, Training, load_training
from mallocgame.offload.residuals import read_residuals
from mallocgame.offload.usual import usual_moves
from mallocgame.problem.chips import Link
from mallocgame.system.errors import BadInputError

COUNTING = Link("counting", 1, 1.0, 1.0, 2.0, 1.0, 1e30, "one operation a second, memory free of charge")
BYTES = Link("bytes", 1, 1.0, 1.0, 2.0, 1e30, 1.0, "one byte a second, arithmetic free of charge")


def scanned(remat: Remat) -> Any:
    """Four layers x + sin(x w) w' of f32[4, 8] and a hidden width of 16, as a scan."""

    @remat
    def block(x: jax.Array, up: jax.Array, down: jax.Array) -> jax.Array:
        x = checkpoint_name(x, "input")
        return x + jnp.sin(checkpoint_name(x @ up, "hidden")) @ down

    def loss(weights: Any, x: jax.Array) -> jax.Array:
        return (jax.lax.scan(lambda x, w: (block(x, *w), None), x * 2, weights)[0] ** 2).sum()

    shape = jax.ShapeDtypeStruct
    weights = shape((4, 8, 16), jnp.float32), shape((4, 16, 8), jnp.float32)
    return jax.jit(jax.grad(loss)), (weights, shape((4, 8), jnp.float32))


def test_residuals_of_a_scan() -> None:
    found = read_residuals(Training("scanned", scanned), COUNTING)
    problem = found.problem
    assert not found.everywhere
    assert list(found.idle) == ["input"]
    # Between the last layer and its backward pass there is no step that its residuals could be away for.
    sizes = {tensor.name: tensor.size for tensor in problem.tensors}
    assert sizes == {f"{name}[{at}]": size for at in range(3) for name, size in (("input", 128), ("hidden", 256))}
    assert {tensor.decided_as for tensor in problem.tensors} == {"input", "hidden"}
    products = 2 * 4 * 8 * 16
    for tensor in problem.tensors:
        recipe = tensor.recipe
        # x @ up makes the hidden layer again; a block's input is there anyway, so that recomputing it saves nothing.
        assert (recipe.seconds if recipe else None) == (products if tensor.decided_as == "hidden" else None)
    # Forward two products a layer. Backward four, for two cotangents and two weights.
    assert problem.seconds == 4 * (2 + 4) * products
    backward = [step for step in problem.steps if step.name.startswith("backward")]
    assert [step.seconds for step in backward] == [4 * products] * 4
    # The last layer is the first whose backward pass runs.
    ends = [tensor.gaps[0][1] for tensor in problem.tensors if tensor.decided_as == "hidden"]
    assert ends == sorted(ends, reverse=True)


def test_what_is_read_again_at_once_stays() -> None:
    def unrolled(remat: Remat) -> Any:
        def loss(w: jax.Array, x: jax.Array) -> jax.Array:
            for layer in range(2):

                @remat
                def block(x: jax.Array, w: jax.Array, layer: int = layer) -> jax.Array:
                    return jnp.sin(checkpoint_name(x @ w, f"hidden/{layer}"))

                x = block(x, w)
            return x.sum()

        shape = jax.ShapeDtypeStruct
        return jax.grad(loss), (shape((8, 8), jnp.float32), shape((4, 8), jnp.float32))

    problem = read_residuals(Training("unrolled", unrolled), COUNTING).problem
    assert [tensor.decided_as for tensor in problem.tensors] == ["hidden/0"]
    assert problem.near == (Near("hidden/1", 4 * 4 * 8, 2.0 * 4 * 8 * 8),)
    assert named_moves(problem, [("offload",)]) == NamedMoves({"hidden/1": "keep", "hidden/0": "offload"})
    assert usual_moves(problem)["full checkpointing"] == NamedMoves({"hidden/1": "recompute", "hidden/0": "recompute"})


def test_operations_are_counted_by_arithmetic_or_bytes() -> None:
    def function(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    shapes = jax.ShapeDtypeStruct((2, 5, 6, 3), jnp.float32), jax.ShapeDtypeStruct((3, 3, 3, 4), jnp.float32)
    (operation,) = flatten(jax.make_jaxpr(function)(*shapes).jaxpr).operations
    assert seconds_of(operation, COUNTING) == 2 * (2 * 5 * 6) * (3 * 3) * 3 * 4
    assert seconds_of(operation, BYTES) == 4 * (2 * 5 * 6 * 3 + 3 * 3 * 3 * 4 + 2 * 5 * 6 * 4)


def test_live_bytes_are_those_of_arrays_that_exist() -> None:
    def function(x: jax.Array) -> jax.Array:
        return jnp.sin(x @ x + 1).sum()

    program = flatten(jax.make_jaxpr(function)(jax.ShapeDtypeStruct((4, 4), jnp.float32)).jaxpr)
    kinds = [operation.kind for operation in program.operations]
    live = dict(zip(kinds, live_bytes(program), strict=True))
    # The input of 64 bytes lives to the end; the product too until it is used; the sine feeds a sum, which reads it.
    assert (live["dot_general"], live["add"], live["reduce_sum"]) == (128, 128, 64 + 64 + 4)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda remat: 1 / 0, "ZeroDivisionError"),
        (lambda remat: (lambda x: jnp.zeros(3) + x, (jax.ShapeDtypeStruct((4,), jnp.float32),)), "cannot be traced"),
        (lambda remat: (lambda x: x, (jax.ShapeDtypeStruct((4,), jnp.float32),)), "no block is under jax.checkpoint"),
        (
            lambda remat: (jax.grad(lambda x: remat(jnp.sin)(x)), (jax.ShapeDtypeStruct((), jnp.float32),)),
            "no named residual",
        ),
    ],
)
def test_a_program_that_cannot_be_used_is_refused(build: Any, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        read_residuals(Training("program", build), COUNTING)


@pytest.mark.parametrize(
    ("reference", "said"),
    [("nothing", "is not MODULE:FUNCTION"), ("no_such:thing", "cannot be loaded"), ("json:decoder", "is no function")],
)
def test_a_reference_that_leads_nowhere_is_refused(reference: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        load_training(reference)
