"""Twelve programs that do not fit into v5e's HBM, each for one cause that is known from how it was written.

A comment ``cause NAME`` marks the line that is to blame, where one is.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec

Built = tuple[Any, tuple[Any, ...]]
Array = jax.Array


def _array(*dims: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(dims, dtype)


def gather() -> Built:
    """Rows of three floats: the tiles' rows have 128."""

    def rows(index: Array, table: Array) -> Array:
        taken = jnp.take(table, index, axis=0)  # cause gather
        return jnp.sort(taken, axis=0)

    return jax.jit(rows), (_array(200_000_000, dtype=jnp.int32), _array(1000, 3))


def transpose() -> Built:
    """Positions of particles, four numbers each, in the order in which they are written out."""

    def cells(position: Array) -> Array:
        cell = jnp.floor_divide(position, 7)
        both = jnp.stack([cell, position % 7], axis=-1)
        return both.sum(-1).astype(jnp.float32).reshape(4, -1)  # cause transpose

    return jax.jit(cells), (_array(8_388_608, 8, 4, dtype=jnp.int32),)


def pairs() -> Built:
    """Two numbers side by side change places."""

    def swap(numbers: Array) -> Array:
        return jnp.flip(numbers.reshape(-1, 2), axis=1).reshape(-1)  # cause pairs

    return jax.jit(swap), (_array(1 << 28),)


def batch() -> Built:
    """A training step of eight dense layers, with a batch that is too large."""

    def loss(weights: list[Array], x: Array) -> Array:
        for weight in weights:
            x = jax.nn.gelu(x @ weight)  # cause batch
        return jnp.mean(x.astype(jnp.float32) ** 2)

    def train(weights: list[Array], x: Array) -> list[Array]:
        gradients = jax.grad(loss)(weights, x)
        return [weight - 0.01 * gradient for weight, gradient in zip(weights, gradients, strict=True)]

    weights = [_array(4096, 4096, dtype=jnp.bfloat16)] * 8
    return jax.jit(train, donate_argnums=0), (weights, _array(1 << 19, 4096, dtype=jnp.bfloat16))


def scan() -> Built:
    """48 layers in a scan: the backward pass has what all of them made."""

    def loss(weights: Array, x: Array) -> Array:
        def layer(x: Array, weight: Array) -> tuple[Array, None]:
            return jax.nn.gelu(x @ weight), None

        x, _ = jax.lax.scan(layer, x, weights)  # cause scan
        return jnp.mean(x.astype(jnp.float32) ** 2)

    def train(weights: Array, x: Array) -> Array:
        return weights - 0.01 * jax.grad(loss)(weights, x)

    weights = _array(48, 2048, 2048, dtype=jnp.bfloat16)
    return jax.jit(train, donate_argnums=0), (weights, _array(1 << 16, 2048, dtype=jnp.bfloat16))


def attention() -> Built:
    """Scores of 16,384 by 16,384 positions for each of 16 heads."""

    def attend(query: Array, key: Array, value: Array) -> Array:
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / 8  # cause attention
        weights = jax.nn.softmax(scores.astype(jnp.float32), axis=-1)
        return jnp.einsum("bhqk,bkhd->bqhd", weights.astype(value.dtype), value)

    heads = _array(2, 16_384, 16, 64, dtype=jnp.bfloat16)
    return jax.jit(attend), (heads, heads, heads)


def logits() -> Built:
    """The loss over a vocabulary of 262,144 words, in float32."""

    def loss(table: Array, hidden: Array, words: Array) -> Array:
        scores = (hidden @ table.T).astype(jnp.float32)  # cause logits
        chosen = jnp.take_along_axis(jax.nn.log_softmax(scores), words[:, None], axis=-1)
        return -jnp.mean(chosen)

    arguments = (_array(262_144, 1024, dtype=jnp.bfloat16), _array(65_536, 1024, dtype=jnp.bfloat16))
    return jax.jit(jax.grad(loss, argnums=(0, 1))), (*arguments, _array(65_536, dtype=jnp.int32))


def missing_donation() -> Built:
    """Parameters of 9 GiB, given back anew while the old ones are still there."""

    def update(parameters: Array, gradients: Array) -> Array:
        return parameters - 0.1 * gradients

    return jax.jit(update), (_array(73_728, 32_768), _array(73_728, 32_768, dtype=jnp.bfloat16))


def donated_in_vain() -> Built:
    """A state that is given back in another type: its place is of no use for that."""

    def compress(state: Array) -> Array:
        return (state * 2).astype(jnp.bfloat16)

    return jax.jit(compress, donate_argnums=0), (_array(73_728, 49_152),)


def copied_donation() -> Built:
    """A donated state that is reversed: the new value cannot be written while the old one is read."""
    return jax.jit(lambda state: state[::-1], donate_argnums=0), (_array(73_728, 32_768),)


def trajectory() -> Built:
    """All 2,048 states of a simulation are given back."""

    def simulate(state: Array) -> Array:
        def step(state: Array, _: None) -> tuple[Array, Array]:
            new = state + 0.1 * (jnp.roll(state, 1, 0) + jnp.roll(state, -1, 0) - 2 * state)
            return new, new

        return jax.lax.scan(step, state, None, length=2048)[1]  # cause trajectory

    return jax.jit(simulate), (_array(2048, 2048),)


def replicated() -> Built:
    """Adam, data parallel: each of four devices has all the weights and all that the optimizer keeps."""
    mesh = AbstractMesh((4,), ("data",), axis_types=(AxisType.Auto,))

    def loss(weights: list[Array], x: Array) -> Array:
        for weight in weights:
            x = jnp.tanh(x @ weight.astype(x.dtype))
        return jnp.mean(x.astype(jnp.float32) ** 2)

    def train(weights: list[Array], means: list[Array], squares: list[Array], x: Array) -> Any:
        gradients = jax.grad(loss)(weights, x)
        means = [0.9 * m + 0.1 * g for m, g in zip(means, gradients, strict=True)]
        squares = [0.99 * v + 0.01 * g * g for v, g in zip(squares, gradients, strict=True)]
        updates = [m * jax.lax.rsqrt(v + 1e-8) for m, v in zip(means, squares, strict=True)]
        return [w - 0.001 * u for w, u in zip(weights, updates, strict=True)], means, squares

    whole = NamedSharding(mesh, PartitionSpec())
    state = [jax.ShapeDtypeStruct((16_384, 16_384), jnp.float32, sharding=whole)] * 6
    x = jax.ShapeDtypeStruct((4096, 16_384), jnp.bfloat16, sharding=NamedSharding(mesh, PartitionSpec("data")))
    return jax.jit(train, donate_argnums=(0, 1, 2)), (state, state, state, x)
