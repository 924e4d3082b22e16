"""Devices that are described but not there: what a program is lowered for on a machine without a TPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mallocgame.problem.targets import topology_for
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from mallocgame.system.printable import one_line

DEVICE_FILES = ("accel*", "vfio/[0-9]*")
"""Files in /dev that a machine with a TPU has."""


def described_devices(target: str, count: int = 1) -> list[Any]:
    """The first ``count`` devices of the target's smallest topology that has so many, for shardings and meshes.

    libtpu is loaded into this process; it needs no TPU, and touches none.

    Args:
        target: e.g. ``"v5e"``.
        count: how many, at least 1.

    Returns:
        ``jax.Device`` objects in the topology's own order.

    Raises:
        BadInputError: unknown target, or no topology of it has so many devices.
        CompilerRefusedError: JAX or libtpu is missing.
    """
    if count < 1:
        raise BadInputError(f"a program runs on at least one device, not on {count}")
    topology = topology_for(target, count)
    if not any(next(Path("/dev").glob(pattern), None) for pattern in DEVICE_FILES):
        # Without these libtpu asks the cloud which machine this is, and refuses to be loaded by two processes.
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
        os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    try:
        from jax.experimental import topologies

        return list(topologies.get_topology_desc(platform="tpu", topology_name=topology).devices[:count])
    except Exception as error:
        words = one_line(error, 300)
        raise CompilerRefusedError(f"no TPU compiler for {topology} ({words}); install the tpu extra") from None


def abstract(target: str, *args: Any) -> tuple[Any, ...]:
    """Abstract arguments on one described device, so that ``jax.jit(f).lower(*abstract("v5e", *args))`` is for a TPU.

    Args:
        target: e.g. ``"v5e"``.
        args: pytrees of arrays or of ``jax.ShapeDtypeStruct``; no array is copied or moved.

    Returns:
        The same pytrees of ``jax.ShapeDtypeStruct``.

    Raises:
        BadInputError, CompilerRefusedError: as ``described_devices``; or a leaf has no shape and type.
    """
    (device,) = described_devices(target)
    import jax
    from jax.sharding import SingleDeviceSharding

    struct: Any = jax.ShapeDtypeStruct
    sharding = SingleDeviceSharding(device)

    def described(leaf: Any) -> Any:
        shaped = leaf if isinstance(leaf, struct) else jax.typeof(leaf)
        return struct(shaped.shape, shaped.dtype, sharding=sharding, weak_type=shaped.weak_type)

    try:
        return tuple(jax.tree.map(described, args))
    except TypeError as error:
        raise BadInputError(f"an argument is no array: {one_line(error, 200)}") from None
