"""Topologies as one text: what libtpu describes, how many slices of it, and the order in which a program has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from mallocgame.problem.targets import TOPOLOGIES
from mallocgame.system.errors import BadInputError

_TEXT = re.compile(r"([^*@]+)(?:\*([1-9][0-9]{0,3}))?(?:@([0-9]{1,6}(?:,[0-9]{1,6})*))?")


@dataclass(frozen=True, slots=True)
class Topology:
    """Devices that libtpu describes, as a program has them.

    As text it is ``v5e:2x2``, of two slices ``v5e:2x2*2``, and in another order than that of its ids
    ``v5e:2x2@0,1,3,2``.

    Attributes:
        name: of one slice, as libtpu knows it.
        slices: how many of these.
        order: the number, in the order of ids, of each device of the program; empty for that order itself.
    """

    name: str
    slices: int = 1
    order: tuple[int, ...] = ()

    def __str__(self) -> str:
        slices = f"*{self.slices}" if self.slices > 1 else ""
        return self.name + slices + ("@" + ",".join(map(str, self.order)) if self.order else "")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device is.

    Attributes:
        slice: number of its slice.
        chip: x, y and z of its chip there.
        core: its number on the chip.
    """

    slice: int
    chip: tuple[int, int, int]
    core: int

    @property
    def rank(self) -> tuple[int, ...]:
        """Sorts devices in the order of their ids: by slice, z, y, x and core."""
        return self.slice, *reversed(self.chip), self.core


def parse_topology(text: str) -> Topology:
    """What ``str`` of a topology gives, read back.

    Raises:
        BadInputError: the text is of another form.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise BadInputError(f"{text[:80]!r} is no topology; one is v5e:2x2, or v5e:2x2*2 for two slices")
    return Topology(found[1], int(found[2] or 1), tuple(map(int, found[3].split(","))) if found[3] else ())


def topology_of(target: str, places: Sequence[Place]) -> Topology | None:
    """The topology of a target that devices at these places fill, in their order; None where they fill none."""
    devices, smallest = min(TOPOLOGIES[target].items())
    shape = tuple(map(int, smallest.partition(":")[2].split("x")))
    slices = len({place.slice for place in places})
    sides = [len({place.chip[axis] for place in places}) for axis in range(3)]
    size = (*sides, devices // prod(shape))
    inside = all(at < side for place in places for at, side in zip((*place.chip, place.core), size, strict=True))
    if not inside or not len(places) == len(set(places)) == slices * prod(size):
        return None
    numbers = {place: number for number, place in enumerate(sorted(places, key=lambda place: place.rank))}
    order = tuple(numbers[place] for place in places)
    name = f"{target}:{'x'.join(map(str, sides[: len(shape)]))}"
    return Topology(name, slices, () if order == tuple(range(len(order))) else order)
