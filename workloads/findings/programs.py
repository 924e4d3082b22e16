"""The programs. Fast memory and bandwidths are those of the target that docs/findings.md names for each."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from workloads import Built


def loop_weight() -> Built:
    """One weight of 8 MiB in a loop of 16 rounds, and nothing before the loop (v5e)."""

    def f(x: jax.Array, weight: jax.Array) -> jax.Array:
        return lax.fori_loop(0, 16, lambda _, x: jnp.tanh(x @ weight), x)

    return f, (_bf16(64, 2048), _bf16(2048, 2048))


def late_weights() -> Built:
    """A long product that leaves HBM idle, then eight weights of 8 MiB that are read one after the other (v5e)."""

    def f(a: jax.Array, b: jax.Array, weights: list[jax.Array]) -> jax.Array:
        x = (a @ b).reshape(8, -1, 2048).max(1)
        for weight in weights:
            x = jnp.tanh(x @ weight)
        return x

    return f, (_bf16(4096, 4096), _bf16(4096, 2048), [_bf16(2048, 2048)] * 8)


def cross_program() -> Built:
    """A large weight used first and last, and between them two smaller ones, four times each (v4 lite)."""
    width, part = 6656, 3584

    def f(x: jax.Array, large: jax.Array, small: list[jax.Array]) -> jax.Array:
        x = jnp.tanh(x @ large)
        for weight in small:
            for _ in range(4):
                x = jnp.tanh(x[:, :part] @ weight)
        return x @ large

    return f, (_bf16(8, width), _bf16(width, width), [_bf16(part, width)] * 2)


def greedy_order() -> Built:
    """A large weight used three times, and between its uses four smaller ones, four times each (v4 lite)."""
    width, part = 6656, 3584

    def f(x: jax.Array, large: jax.Array, small: list[jax.Array]) -> jax.Array:
        for number, weight in enumerate(small):
            if number % 2 == 0:
                x = jnp.tanh(x @ large)
            for _ in range(4):
                x = jnp.tanh(x[:, :part] @ weight)
        return x @ large

    return f, (_bf16(8, width), _bf16(width, width), [_bf16(part, width)] * 4)


def late_state() -> Built:
    """A loop that carries 36 MiB which each round needs only after a long product (v5p)."""

    def f(x: jax.Array, weight: jax.Array, state: jax.Array) -> jax.Array:
        def body(_: int, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            x, state = carry
            x = jnp.tanh(x @ weight)
            return x, state * 0.9 + x.max(0)

        return lax.fori_loop(0, 16, body, (x, state))[1].sum()

    return f, (_bf16(2048, 4096), _bf16(4096, 4096), _bf16(4608, 4096))


def conv_kernel() -> Built:
    """Two convolutions with a bias between them; the second has a kernel of 72 KiB (v5p)."""

    def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def f(x: jax.Array, first: jax.Array, bias: jax.Array, second: jax.Array) -> jax.Array:
        return conv(jax.nn.relu(conv(x, first) + bias), second)

    return f, (_bf16(8, 256, 256, 3), _bf16(3, 3, 3, 64), _bf16(64), _bf16(3, 3, 64, 64))


def _bf16(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.bfloat16)
