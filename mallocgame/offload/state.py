"""Optimizer state and parameters in host memory: what a step is given and gives back has a memory kind.

The game decides residuals. State is a choice of the user's: it is copied in at each step and out again, in the step's
own time, and frees its size for all of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mallocgame.offload.policy import HOST
from mallocgame.system.errors import BadInputError


def state_on_host(
    step: Callable[..., Any], arguments: tuple[Any, ...], states: Mapping[int, int], donate: tuple[int, ...] = ()
) -> tuple[Any, tuple[Any, ...]]:
    """A step whose state lives in ``pinned_host`` memory between its runs, on one device.

    Args:
        step: takes ``arguments`` and gives a tuple.
        arguments: abstract ones.
        states: argument -> result: which argument is state, and which result takes its place in the next run.
        donate: arguments whose memory the results may take, state included.

    Returns:
        The step, jitted, and the abstract arguments with their memory kinds.

    Raises:
        BadInputError: there is no such argument or result.
    """
    import jax

    results = jax.eval_shape(step, *arguments)
    if not isinstance(results, tuple) or not all(
        0 <= given < len(arguments) and 0 <= back < len(results) for given, back in states.items()
    ):
        raise BadInputError(f"states {dict(states)} are not arguments and results of the step")
    device = jax.devices()[0]
    here = jax.sharding.SingleDeviceSharding(device)
    host = jax.sharding.SingleDeviceSharding(device, memory_kind=HOST)
    spaces = jax.memory.Space
    shaped: Any = jax.ShapeDtypeStruct

    def with_state_on_host(*given: Any) -> tuple[Any, ...]:
        near = [jax.device_put(tree, spaces.Device) if at in states else tree for at, tree in enumerate(given)]
        made = step(*near)
        back = set(states.values())
        return tuple(jax.device_put(tree, spaces.Host) if at in back else tree for at, tree in enumerate(made))

    placed = tuple(
        jax.tree.map(lambda leaf, at=at: shaped(leaf.shape, leaf.dtype, sharding=host if at in states else here), tree)
        for at, tree in enumerate(arguments)
    )
    out = tuple(host if at in states.values() else here for at in range(len(results)))
    return jax.jit(with_state_on_host, donate_argnums=donate, out_shardings=out), placed
