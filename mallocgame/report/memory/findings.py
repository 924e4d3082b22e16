"""What takes memory and may not have to: paddings, donations that came to nothing, copies on several devices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from mallocgame.report.memory.asked import Asked
from mallocgame.report.memory.donations import donations
from mallocgame.report.memory.paddings import paddings
from mallocgame.report.memory.replicated import replicated
from mallocgame.report.memory.use import KINDS, Buffer, Finding, Kind, Peak, Role
from mallocgame.report.units import percent, size

WORTH = 0.01
"""Share of the memory's total that a finding is about at least."""

LARGEST = 2
"""How many source lines are told of."""

_ADVICE = {
    "temporary": "make it in pieces (jax.lax.map, a scan), or take a smaller batch or type",
    "argument": "shard it over more devices, donate what is not needed afterwards, or take a smaller type",
    "aliased": "shard it over more devices, or take a smaller type",
    "output": "donate an argument of its shape, or return less",
    "constant": "pass it as an argument, or compute it in the program",
    "thread-local": "it belongs to the computations of reductions and the like",
}

_ADVICE_BY_ROLE: Mapping[Role, str] = {
    "saved activations": "recompute or offload them (jax.checkpoint; mallocgame fit), or take a smaller batch",
    "recomputed activations": "recompute less at a time (jax.checkpoint of smaller blocks), or take a smaller batch",
    "gradients": "take a smaller batch (of several, one after the other) or type, or shard it over more devices",
    "weights": "keep the weights in the type and order that they are computed with, or shard them over more devices",
    "collective buffers": "gather less at a time, or take a smaller type",
}
"""Of temporaries."""

_UNSAID: frozenset[Role] = frozenset({"other", "not known"})


def findings_of(peak: Peak, total: int, numbers: Mapping[str, int], asked: Asked) -> tuple[Finding, ...]:
    """What is worth telling of the HBM: what can be saved, then the largest contributors; each most bytes first.

    Args:
        peak: of the HBM.
        total: bytes of all its allocations.
        numbers: of the entry's parameters, by name.
        asked: what the program asks for them.
    """
    donated = (name for name, number in numbers.items() if asked.is_donated(number))
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
        kind, role = _most(here)
        made_of = "" if role in _UNSAID else f", {role}"
        found.append(
            Finding(
                "largest",
                whole,
                f"{place}: {size(whole)} at the peak ({percent(whole / total)}){made_of}; the largest "
                f"{size(largest.size)}, {largest.what or largest.name} {largest.shape}",
                (_ADVICE_BY_ROLE.get(role) if kind == "temporary" else None) or _ADVICE[kind],
            )
        )
    return sorted(found, key=lambda one: -one.size)[:LARGEST]


def _most(buffers: Sequence[Buffer]) -> tuple[Kind, Role]:
    """The kind and role with most bytes."""
    totals: Counter[tuple[Kind, Role]] = Counter()
    for buffer in buffers:
        totals[buffer.kind, buffer.role] += buffer.size
    return totals.most_common(1)[0][0]
