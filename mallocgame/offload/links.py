"""The links between device and host memory: a table by device, and measured ones from a probe's target file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from mallocgame.problem.chips import CHIPS, GPU_EXPOSED, Link
from mallocgame.problem.target_file import FORMAT, MAX_FILE_BYTES, PRODUCT, MeasuredTarget, load_target
from mallocgame.problem.targets import TARGET_OF_KIND, TARGETS
from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError

LINKS: Mapping[str, Link] = {name: chip.link for name, chip in CHIPS.items()}
"""By name of the device."""


def get_link(name: str) -> Link:
    """The link of a device.

    Raises:
        BadInputError: no such device.
    """
    link = LINKS.get(name)
    if link is None:
        raise BadInputError(f"unknown device {name!r}; known are {', '.join(map(repr, LINKS))}")
    return link


def checked_link(target: str, link: str | os.PathLike[str] | None) -> Link:
    """The link of a target, which has to be one.

    Raises:
        BadInputError: the target is not known.
    """
    if target not in TARGETS and target not in LINKS and link is None:
        known = dict.fromkeys([*TARGETS, *LINKS])
        raise BadInputError(f"unknown target {target!r}; known: {', '.join(map(repr, known))}")
    return choose_link(target, link)


def choose_link(target: str, link: str | os.PathLike[str] | None) -> Link:
    """The link of a target: from a file, or of the table.

    Raises:
        BadInputError: neither is known.
    """
    return get_link(target) if link is None else read_link(link)


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
