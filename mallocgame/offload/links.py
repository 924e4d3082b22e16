"""The links between device and host memory: a table by device, and measured ones from a probe's target file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mallocgame import checked_json as checked
from mallocgame.errors import BadInputError
from mallocgame.problem.target_file import FORMAT, MAX_FILE_BYTES, PRODUCT, MeasuredTarget, load_target
from mallocgame.problem.targets import TARGET_OF_KIND, TARGETS


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
        exposed: share of all copies' time that the program waits for at least, however much work there is beside them:
            what the compiler's schedule leaves unhidden.
    """

    name: str
    device_bytes: int
    to_host: float
    from_host: float
    both: float
    flops: float
    bandwidth: float
    source: str
    exposed: float = 0.0


GPU_EXPOSED = 0.5
"""Of XLA's GPU compiler (jax 0.11.2, latency-hiding scheduler, H200): 0.51 where 4.8 GB went out and back beside a step
of 0.26 s, 0.54 where 20 GB did (benchmarks/results/offload-nvidia-h200.json). It waits for a copy soon after its
start. For TPUs the schedule itself is read back."""

_NVIDIA = "NVIDIA data sheet; PCIe's nominal rate each way"
_TPU = (
    "capacity, flops and HBM: Google's TPU pages; host link: 16 GB/s each way (v4) and 1.5e10 B/s (newer ones) of "
    "'How to Scale Your Model', chapter 2 and its third question; Google publishes none"
)
_TPU_V4_LITE = (
    "capacity, flops and HBM: Jouppi et al., 'Ten Lessons From Three Generations', ISCA 2021 (there TPUv4i); host "
    "link: nothing published, taken as v4's"
)
_TPU7X = (
    "capacity, flops and HBM: half a chip of Google's TPU7x page, for a device is one of its two cores; host link: "
    "nothing published, taken as half of v6e's"
)


def _link(name: str, size: float, way: float, flops: float, bandwidth: float, source: str) -> Link:
    exposed = 0.0 if name in TARGETS else GPU_EXPOSED
    return Link(name, round(size), way, way, 2 * way, flops, bandwidth, source, exposed)


LINKS: Mapping[str, Link] = {
    link.name: link
    for link in (
        _link("H100 SXM", 80e9, 64e9, 989e12, 3.35e12, f"{_NVIDIA} Gen5 x16"),
        _link("H200", 141e9, 64e9, 989e12, 4.8e12, f"{_NVIDIA} Gen5 x16"),
        _link("A100", 80e9, 32e9, 312e12, 2.039e12, f"{_NVIDIA} Gen4 x16; SXM, 80 GB"),
        _link("L4", 24e9, 32e9, 121e12, 0.3e12, f"{_NVIDIA} Gen4 x16; without sparsity"),
        _link("v4 lite", 8 * 2**30, 16e9, 138e12, 0.614e12, _TPU_V4_LITE),
        _link("v4", 32 * 2**30, 16e9, 275e12, 1.2e12, _TPU),
        _link("v5e", 16 * 2**30, 15e9, 197e12, 0.82e12, _TPU),
        _link("v5p", 95 * 2**30, 15e9, 459e12, 2.8e12, _TPU),
        _link("v6e", 32 * 2**30, 15e9, 918e12, 1.6e12, _TPU),
        _link("tpu7x", 96 * 2**30, 7.5e9, 1153.5e12, 3.69e12, _TPU7X),
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
    """A link from the target file that ``mallocgame probe --calibrate`` writes, or from a JSON file with the
    attributes of ``Link`` as keys.

    Raises:
        BadInputError: it cannot be read, or a rate is missing or not positive.
    """
    source, value = str(path), checked.read_json(path, MAX_FILE_BYTES)
    if isinstance(value, dict) and value.get("format") == FORMAT:
        return link_of_target(load_target(path), source)
    keys = ("name", "device_bytes", *_RATES, "source", "exposed")
    value = checked.record(value, source, keys)
    rates = {key: checked.non_negative(value[key], f"{source}: {key}") for key in _RATES}
    if not all(rates.values()):
        raise BadInputError(f"{source}: every rate has to be more than 0")
    return Link(
        name=checked.text(value["name"], f"{source}: name"),
        device_bytes=checked.natural(value["device_bytes"], f"{source}: device_bytes"),
        source=checked.text(value["source"], f"{source}: source"),
        exposed=checked.non_negative(value["exposed"], f"{source}: exposed"),
        **rates,
    )


def link_of_target(found: MeasuredTarget, source: str) -> Link:
    """The link that a calibration has measured, its fastest runs counted.

    Args:
        found: by calibration.
        source: what to call it.

    Raises:
        BadInputError: it has no rate of the host's memory, or none of the device's arithmetic.
    """
    rates = {rate.name: rate for rate in found.rates if rate.bytes}
    host = next((kind for kind in ("pinned_host", "unpinned_host") if f"to {kind}" in rates), "pinned_host")
    ways = (f"to {host}", f"from {host}", f"to and from {host}", "device read and write")
    products = [(rate, match) for rate in found.rates if (match := _PRODUCT.fullmatch(rate.name))]
    missing = [*(way for way in ways if way not in rates), *([] if products else ["product of matrices"])]
    if missing:
        raise BadInputError(f"{source}: {missing[0]!r} was not measured; make the file again with `mallocgame probe`")
    to_host, from_host, both, bandwidth = (rates[way].bandwidth for way in ways)
    product, side = products[0]
    return Link(
        name=found.device,
        device_bytes=found.target.hbm_bytes if found.device in TARGET_OF_KIND else found.target.fast_bytes,
        to_host=to_host,
        from_host=from_host,
        both=both,
        flops=2.0 * int(side[1]) ** 3 / product.fastest,
        bandwidth=bandwidth,
        source=f"measured: {source}",
        exposed=0.0 if found.device in TARGET_OF_KIND else GPU_EXPOSED,
    )


_PRODUCT = re.compile(re.escape(PRODUCT).replace(re.escape("{side}"), r"([1-9]\d{0,5})"))
