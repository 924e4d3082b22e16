"""Devices that are described but not there: what a program is lowered for on a machine without a TPU."""

from __future__ import annotations

from typing import Any

from mallocgame.compiler.described import describe
from mallocgame.problem.targets import topology_for
from mallocgame.problem.topologies import Topology
from mallocgame.system.errors import BadInputError
from mallocgame.system.printable import one_line


def described_devices(target: str, count: int = 1, *, slices: int = 1) -> list[Any]:
    """The first ``count`` devices of the target's smallest topology that has so many, for shardings and meshes.

    libtpu is loaded into this process; it needs no TPU, and touches none.

    Args:
        target: e.g. ``"v5e"``.
        count: how many in all, at least 1.
        slices: how many slices they are, joined by a data-center network, with equally many devices each.

    Returns:
        ``jax.Device`` objects in the order of their ids.

    Raises:
        BadInputError: unknown target, no topology of it has so many devices, or slices would be unequal.
        CompilerRefusedError: JAX or libtpu is missing.
    """
    if min(count, slices) < 1 or count % slices:
        raise BadInputError(f"a program runs on at least one device of each of its slices, not on {count} of {slices}")
    each = count // slices
    devices = describe(str(Topology(topology_for(target, each), slices)))
    return [device for number, device in enumerate(devices) if number % (len(devices) // slices) < each]


def abstract(target: str, *args: Any) -> tuple[Any, ...]:
    """Abstract arguments on one described device, so that ``jax.jit(f).lower(*abstract("v5e", *args))`` is for a TPU.

    Leaves that are no arrays stay as they are: numbers, texts, functions and whatever else a program takes as static.

    Args:
        target: e.g. ``"v5e"``.
        args: pytrees of arrays or of ``jax.ShapeDtypeStruct``; no array is copied or moved.

    Returns:
        The same pytrees with ``jax.ShapeDtypeStruct`` in place of arrays.

    Raises:
        BadInputError, CompilerRefusedError: as ``described_devices``; or an array is of a type that JAX does not have.
    """
    (device,) = described_devices(target)
    import jax
    from jax.sharding import SingleDeviceSharding

    struct: Any = jax.ShapeDtypeStruct
    sharding = SingleDeviceSharding(device)

    def described(leaf: Any) -> Any:
        if isinstance(leaf, type) or not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
            return leaf
        shaped = leaf if isinstance(leaf, struct) else jax.typeof(leaf)
        return struct(shaped.shape, shaped.dtype, sharding=sharding, weak_type=shaped.weak_type)

    try:
        return tuple(jax.tree.map(described, args))
    except TypeError as error:
        raise BadInputError(f"an argument is no array of JAX: {one_line(error, 200)}") from None
