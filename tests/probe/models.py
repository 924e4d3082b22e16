"""Programs for the tests of the probe."""

from __future__ import annotations

from typing import Any

Pair = tuple[Any, tuple[Any, ...]]
SIZE = 2048


def _loop(iterations: int) -> Pair:
    import jax
    import jax.numpy as jnp

    def run(x: Any) -> Any:
        return jax.lax.fori_loop(0, iterations, lambda _, x: jnp.sin(x) * 1.0001 + x * 0.5, x)

    return run, (jax.ShapeDtypeStruct((SIZE,), jnp.float32),)


def hundred() -> Pair:
    """100 iterations."""
    return _loop(100)


def hundred_and_three() -> Pair:
    """3 % more work."""
    return _loop(103)


def two_hundred() -> Pair:
    """Twice the work."""
    return _loop(200)


def donating() -> Pair:
    """Uses up its first argument; the second is an integer, the third a boolean."""
    import jax
    import jax.numpy as jnp

    def run(state: Any, count: Any, flag: Any) -> Any:
        return jnp.where(flag, state + count.sum(), state), count

    shapes = (
        jax.ShapeDtypeStruct((8, 4), jnp.float32),
        jax.ShapeDtypeStruct((3,), jnp.int32),
        jax.ShapeDtypeStruct((), jnp.bool_),
    )
    return jax.jit(run, donate_argnums=(0,)), shapes


def real_inputs() -> Pair:
    """Brings its own arrays: the outputs are 3, and bfloat16 6."""
    import jax.numpy as jnp
    import numpy as np

    return lambda x, y: (x + 1, y * 2), (np.full(2, 2.0, np.float32), jnp.full(2, 3.0, jnp.bfloat16))


def named() -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Brings an argument by name: 2 + 10."""
    import jax.numpy as jnp

    return lambda x, *, y: x + y, (jnp.full(2, 2.0),), {"y": jnp.full(2, 10.0)}


def traced() -> Any:
    """The same, traced: the arguments are abstract."""
    import jax

    function, args, kwargs = named()
    return jax.jit(function).trace(*args, **kwargs)


def doubled_and_more() -> Pair:
    """Two inputs, the second bfloat16, for inputs of a file."""
    import jax
    import jax.numpy as jnp

    shapes = (jax.ShapeDtypeStruct((2,), jnp.float32), jax.ShapeDtypeStruct((2,), jnp.bfloat16))
    return lambda x, y: (2 * x, y + 1), shapes


def half_real() -> Pair:
    """Brings its first array alone."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    return lambda x, y: (x + 1, y + 1), (np.full(2, 2.0, np.float32), jax.ShapeDtypeStruct((2,), jnp.bfloat16))


def not_a_number() -> Pair:
    """Its output is NaN."""
    import jax
    import jax.numpy as jnp

    return lambda x: x + jnp.nan, (jax.ShapeDtypeStruct((2,), jnp.float32),)


def random_key() -> Pair:
    """An argument that no inputs can be made for."""
    import jax

    return lambda key: jax.random.uniform(key), (jax.eval_shape(lambda: jax.random.key(0)),)


def dies() -> Pair:
    """Takes its process along, as a runtime that aborts does."""
    import os

    print("the runtime says why", flush=True)
    os.abort()
