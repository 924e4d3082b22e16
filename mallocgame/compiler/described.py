"""Devices that libtpu describes, whether or not they are there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mallocgame.problem.topologies import Place, parse_topology
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from mallocgame.system.printable import one_line

DEVICE_FILES = ("accel*", "vfio/[0-9]*")
"""Files in /dev that a machine with a TPU has."""


def without_devices() -> None:
    """Tell a libtpu that this process may load, where there is no TPU: it is to look for none."""
    if not any(next(Path("/dev").glob(pattern), None) for pattern in DEVICE_FILES):
        # Without these libtpu asks the cloud which machine this is, and refuses to be loaded by two processes.
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
        os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")


def describe(topology: str) -> list[Any]:
    """The ``jax.Device`` objects of a topology, in its order; loads libtpu, and touches no TPU.

    Raises:
        BadInputError: it is no topology, or its order is not one of all its devices.
        CompilerRefusedError: JAX or libtpu is missing, or does not know it.
    """
    wanted = parse_topology(topology)
    without_devices()
    several = {"num_slices": wanted.slices} if wanted.slices > 1 else {}
    try:
        from jax.experimental import topologies

        found = topologies.get_topology_desc(platform="tpu", topology_name=wanted.name, **several).devices
        devices = sorted(found, key=lambda device: place_of(device).rank)
    except Exception as error:
        words = one_line(error, 300)
        raise CompilerRefusedError(
            f"no TPU compiler for topology {wanted.name} ({words}); install the tpu extra"
        ) from None
    if wanted.order and sorted(wanted.order) != list(range(len(devices))):
        raise BadInputError(f"{topology}: not an order of its {len(devices)} devices")
    return [devices[number] for number in wanted.order] or devices


def place_of(device: Any) -> Place:
    """Where a TPU device is; JAX gives a slice only to devices of several."""
    x, y, z = device.coords
    return Place(getattr(device, "slice_index", None) or 0, (x, y, z), device.core_on_chip)
