"""Bandwidths of a device's memories and of the links between them, and how fast it multiplies. JAX is imported.

What is measured is what a program gets: XLA's own loops over arrays, and `jax.device_put` between memory kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding

from mallocgame.problem.target_file import PRODUCT
from mallocgame.system.errors import NoAnswerError
from mallocgame.system.printable import one_line

SMALL_BYTES = 4096
"""Of a transfer whose time is all latency."""

MIN_REPEATS = 5

LOOPS = 32
"""Of a test of device memory in one call, on an accelerator."""


class Test(NamedTuple):
    """Something to be timed.

    Attributes:
        name: of what is measured.
        bytes: that one run moves; 0 where the time itself is the result.
        run: does it and waits.
    """

    name: str
    bytes: int
    run: Callable[[], Any]


def measure(device: Any, seconds: float, size: int) -> list[dict[str, Any]]:
    """Every figure that this device allows, all tests in turn until ``seconds`` are over, five times at least.

    Args:
        device: of JAX.
        seconds: for all of them.
        size: bytes of an array; large beside the caches.

    Returns:
        ``name``, ``bytes`` that a run moves, ``fastest`` and ``median`` seconds of a run, ``runs``.

    Raises:
        NoAnswerError: the arrays do not fit.
    """
    try:
        tests = [*_device_tests(device, size), *_host_tests(device, size)]
        times: list[list[float]] = [[] for _ in tests]
        end = perf_counter() + seconds
        for test in tests:
            test.run()
        while len(times[-1]) < MIN_REPEATS or perf_counter() < end:
            for test, found in zip(tests, times, strict=True):
                start = perf_counter()
                test.run()
                found.append(perf_counter() - start)
    except RuntimeError as error:
        raise NoAnswerError(f"memory cannot be measured with {size} bytes: {one_line(error, 300)}") from None
    return [
        {
            "name": test.name,
            "bytes": test.bytes,
            "fastest": min(found),
            "median": float(np.median(found)),
            "runs": len(found),
        }
        for test, found in zip(tests, times, strict=True)
    ]


def _device_tests(device: Any, size: int) -> list[Test]:
    """Device memory, by sums (read), fills (write) and x + 1 (both); a matrix product; the least time of a call.

    An accelerator does each of the first three ``LOOPS`` times in a call: an H200 reads 256 MiB in less time than a
    call takes. What the loop itself copies makes rates at most 3 % low.
    """
    loops = 1 if device.platform == "cpu" else LOOPS
    side = 512 if device.platform == "cpu" else 8192
    numbers = np.random.default_rng(0).random((2, side, side), np.float32) - np.float32(0.5)
    one_factor, other = jax.device_put(tuple(numbers.astype(jnp.bfloat16)), device)
    product = jax.jit(jnp.matmul)
    x = jax.device_put(np.ones(size // 4, np.float32), device)
    one = jax.device_put(np.float32(1), device)
    repeat = jax.lax.fori_loop
    total = jax.jit(lambda x, one: repeat(0, loops, lambda _, least: jnp.minimum(x, least).sum(), one))
    fill = jax.jit(lambda one: repeat(0, loops, lambda at, _: jnp.full(size // 4, one + at), jnp.zeros(size // 4)))
    add = jax.jit(lambda x: repeat(0, loops, lambda _, x: x + 1, x))
    call = jax.jit(lambda one: one + 1)
    return [
        Test("device read", loops * size, lambda: total(x, one).block_until_ready()),
        Test("device write", loops * size, lambda: fill(one).block_until_ready()),
        Test("device read and write", 2 * loops * size, lambda: add(x).block_until_ready()),
        Test(PRODUCT.format(side=side), 0, lambda: product(one_factor, other).block_until_ready()),
        Test("call", 0, lambda: call(one).block_until_ready()),
    ]


def _host_tests(device: Any, size: int) -> list[Test]:
    """The link to each kind of host memory: up (to the host), down (to the device), both at once, and its latency."""
    here = SingleDeviceSharding(device)
    tests = []
    for memory in device.addressable_memories():
        if not memory.kind.endswith("_host"):
            continue
        there = SingleDeviceSharding(device, memory_kind=memory.kind)
        x = jax.device_put(np.ones(size // 4, np.float32), here)
        y, small = jax.device_put(x, there), jax.device_put(np.ones(SMALL_BYTES // 4, np.float32), here)
        tests += [
            Test(f"to {memory.kind}", size, _transfer((x, there))),
            Test(f"from {memory.kind}", size, _transfer((y, here))),
            Test(f"to and from {memory.kind}", 2 * size, _transfer((x, there), (y, here))),
            Test(f"latency to {memory.kind}", 0, _transfer((small, there))),
        ]
    return tests


def _transfer(*moves: tuple[Any, Any]) -> Callable[[], None]:
    """Copies arrays, all at once, and waits."""

    def run() -> None:
        for copy in [jax.device_put(x, where, may_alias=False) for x, where in moves]:
            copy.block_until_ready()

    return run
