"""What takes memory and may not have to: paddings, donations that came to nothing, copies on several devices."""

from __future__ import annotations

from collections.abc import Mapping

from mallocgame.report.memory.asked import Asked
from mallocgame.report.memory.donations import donations
from mallocgame.report.memory.paddings import paddings
from mallocgame.report.memory.replicated import replicated
from mallocgame.report.memory.use import KINDS, Buffer, Finding, Peak
from mallocgame.report.units import percent, size

WORTH = 0.01
"""Share of the memory's total that a finding is about at least."""

LARGEST = 2
"""How many source lines are told of."""

_ADVICE = {
    "temporary": "recompute or offload what is kept (jax.checkpoint; mallocgame offload), or take a smaller batch",
    "argument": "shard it over more devices, donate what is not needed afterwards, or take a smaller type",
    "aliased": "shard it over more devices, or take a smaller type",
    "output": "donate an argument of its shape, or return less",
    "constant": "pass it as an argument, or compute it in the program",
    "thread-local": "it belongs to the computations of reductions and the like",
}


def findings_of(peak: Peak, total: int, numbers: Mapping[str, int], asked: Asked) -> tuple[Finding, ...]:
    """What is worth telling of the HBM: what can be saved, then the largest contributors; each most bytes first.

    Args:
        peak: of the HBM.
        total: bytes of all its allocations.
        numbers: of the entry's parameters, by name.
        asked: what the program asks for them.
    """
    donated = (
        name for name, number in numbers.items() if number in asked.arguments and asked.arguments[number].donated
    )
    found = [
        *paddings(peak.buffers),
        *donations(peak.buffers, frozenset(donated)),
        *replicated(peak.buffers, numbers, asked),
        *_largest(peak, total),
    ]
    return tuple(
        sorted((one for one in found if one.size >= WORTH * total), key=lambda one: (one.kind == "largest", -one.size))
    )


def _largest(peak: Peak, total: int) -> list[Finding]:
    """The source lines with most at the peak; what has no line is told by kind."""
    places: dict[str, list[Buffer]] = {}
    for buffer in peak.buffers:
        places.setdefault(buffer.source or KINDS[buffer.kind], []).append(buffer)
    found = []
    for place, here in places.items():
        largest, whole = here[0], sum(buffer.size for buffer in here)
        found.append(
            Finding(
                "largest",
                whole,
                f"{place}: {size(whole)} at the peak ({percent(whole / total)}), the largest {size(largest.size)}, "
                f"{largest.what or largest.name} {largest.shape}",
                _ADVICE[largest.kind],
            )
        )
    return sorted(found, key=lambda one: -one.size)[:LARGEST]
