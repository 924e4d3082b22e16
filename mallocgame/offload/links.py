"""The links between device and host memory: a table by device, and measured ones from a probe's target file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mallocgame import checked_json as checked
from mallocgame.errors import BadInputError

MAX_FILE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Link:
    """Device memory, and how fast one can copy between it and pinned host memory.

    Attributes:
        name: of the device.
        device_bytes: capacity of the device memory.
        to_host: bytes/second from device to host while nothing goes the other way.
        from_host: bytes/second from host to device, likewise.
        both: bytes/second in both directions together while both are busy; each then gets its share.
        flops: peak bf16 operations/second, for costs of programs that no compiler has costed.
        bandwidth: bytes/second of the device memory, likewise.
        source: where the figures are from.
    """

    name: str
    device_bytes: int
    to_host: float
    from_host: float
    both: float
    flops: float
    bandwidth: float
    source: str


_NVIDIA = "NVIDIA data sheet; PCIe's nominal rate each way"
_TPU = (
    "capacity, flops and HBM: Google's TPU pages; host link: 16 GB/s each way (v4) and 1.5e10 B/s (newer ones) of "
    "'How to Scale Your Model', chapter 2 and its third question; Google publishes none"
)


def _link(name: str, gb: float, way: float, flops: float, bandwidth: float, source: str) -> Link:
    return Link(name, round(gb), way, way, 2 * way, flops, bandwidth, source)


LINKS: Mapping[str, Link] = {
    link.name: link
    for link in (
        _link("H100 SXM", 80e9, 64e9, 989e12, 3.35e12, f"{_NVIDIA} Gen5 x16"),
        _link("H200", 141e9, 64e9, 989e12, 4.8e12, f"{_NVIDIA} Gen5 x16"),
        _link("A100", 80e9, 32e9, 312e12, 2.039e12, f"{_NVIDIA} Gen4 x16; SXM, 80 GB"),
        _link("L4", 24e9, 32e9, 121e12, 0.3e12, f"{_NVIDIA} Gen4 x16; without sparsity"),
        _link("v4", 32 * 2**30, 16e9, 275e12, 1.2e12, _TPU),
        _link("v5e", 16 * 2**30, 15e9, 197e12, 0.82e12, _TPU),
        _link("v5p", 95 * 2**30, 15e9, 459e12, 2.8e12, _TPU),
        _link("v6e", 32 * 2**30, 15e9, 918e12, 1.6e12, _TPU),
    )
}
"""By name. Nominal rates: PCIe carries both ways at once at full rate, and real copies reach less."""


def get_link(name: str) -> Link:
    """The link of a device.

    Raises:
        BadInputError: no such device.
    """
    link = LINKS.get(name)
    if link is None:
        raise BadInputError(f"unknown device {name!r}; known are {', '.join(map(repr, LINKS))}")
    return link


_RATES = ("to_host", "from_host", "both", "flops", "bandwidth")


def read_link(path: str | os.PathLike[str]) -> Link:
    """A link from a JSON file with the attributes of ``Link`` as keys, as `mallocgame probe` measures them.

    Raises:
        BadInputError: it cannot be read, or a rate is not positive.
    """
    source = str(path)
    keys = ("name", "device_bytes", *_RATES, "source")
    value = checked.record(checked.read_json(path, MAX_FILE_BYTES), source, keys)
    rates = {key: checked.non_negative(value[key], f"{source}: {key}") for key in _RATES}
    if not all(rates.values()):
        raise BadInputError(f"{source}: every rate has to be more than 0")
    return Link(
        name=checked.text(value["name"], f"{source}: name"),
        device_bytes=checked.natural(value["device_bytes"], f"{source}: device_bytes"),
        source=checked.text(value["source"], f"{source}: source"),
        **rates,
    )
