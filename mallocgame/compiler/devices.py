"""How many devices a lowered module is for, as its own text says."""

from __future__ import annotations

import re

_MODULE = re.compile(r"^module\b[^\n]*$", re.MULTILINE)


def replicas_and_partitions(lowered: str) -> tuple[int, int]:
    """``mhlo.num_replicas`` and ``mhlo.num_partitions`` of StableHLO text; 1 where it does not say."""
    header = _MODULE.search(lowered)
    return _count(header, "mhlo.num_replicas"), _count(header, "mhlo.num_partitions")


def devices_of(lowered: str) -> int:
    """Devices that the program of a lowered module runs on."""
    replicas, partitions = replicas_and_partitions(lowered)
    return replicas * partitions


def _count(header: re.Match[str] | None, name: str) -> int:
    found = re.search(re.escape(name) + r" = ([1-9][0-9]{0,5}) : i32\b", header.group()) if header else None
    return int(found.group(1)) if found else 1
