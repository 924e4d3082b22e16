"""The targets that the compiler can be asked for, by name, and their topologies and devices.

Their figures stand in ``chips``; ``target_log`` takes what one compile printed instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from mallocgame.problem.chips import CHIPS
from mallocgame.problem.schema import Target
from mallocgame.system.errors import BadInputError

TARGETS: Mapping[str, Target] = {name: chip.target for name, chip in CHIPS.items() if chip.target is not None}
"""By name."""

TOPOLOGIES: Mapping[str, Mapping[int, str]] = {name: CHIPS[name].topologies for name in TARGETS}
"""Topologies of each target by the number of devices that libtpu gives them."""

DEFAULT_TARGET = "v5e"
"""Taken where neither the user nor the file says one: one chip of it is a machine of its own, and our tables
reproduce the costs that its compiler logs."""

DEVICES_PER_CHIP: Mapping[str, int] = {
    name: min(topologies) // prod(map(int, topologies[min(topologies)].partition(":")[2].split("x")))
    for name, topologies in TOPOLOGIES.items()
}
"""Devices of each target that a chip is: its cores, where these are apart."""

DEVICE_KINDS: Mapping[str, str] = {name: CHIPS[name].device_kinds[0] for name in TARGETS}
"""``device_kind`` that JAX gives to the devices of each target's topologies."""

TARGET_OF_KIND: Mapping[str, str] = {kind: name for name in TARGETS for kind in CHIPS[name].device_kinds}
"""Targets by ``jax.Device.device_kind``."""

TARGET_OF_DUMP: Mapping[tuple[str, str], str] = {
    chip.dumped_as: name for name, chip in CHIPS.items() if chip.dumped_as is not None
}
"""Targets by version and variant in a dump."""


def get_target(name: str) -> Target:
    """The target of a name.

    Raises:
        BadInputError: no such target.
    """
    target = TARGETS.get(name)
    if target is None:
        raise BadInputError(f"unknown target {name!r}; known are {', '.join(map(repr, TARGETS))}")
    return target


def topology_for(name: str, devices: int) -> str:
    """The smallest topology of a target with at least so many devices.

    Raises:
        BadInputError: no such target, or none of its topologies has so many devices.
    """
    topologies = TOPOLOGIES[get_target(name).name]
    enough = [size for size in topologies if size >= devices]
    if not enough:
        raise BadInputError(
            f"the program is for {devices} devices; {name} is known with up to {max(topologies)} a slice (for more, "
            f"lower it on a mesh of mallocgame.described_devices({name!r}, {devices}, slices=...))"
        )
    return topologies[min(enough)]
