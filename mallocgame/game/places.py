"""Where a plan that is known has what it brings to fast memory, for games that keep to it where they can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mallocgame.game.program import Program
from mallocgame.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class Places:
    """Places of one plan; none for a game that knows no plan.

    Attributes:
        pins: offset in bytes of each group that the plan has in fast memory at its first site, a definition.
        copies: for each prefetch, by tensor and the time that waits for it, the time after whose instruction it starts,
            and its offset in bytes.
    """

    pins: Mapping[int, int] = field(default_factory=dict)
    copies: Mapping[tuple[int, int], tuple[int, int]] = field(default_factory=dict)


def places_of(program: Program, plan: Plan) -> Places:
    """The places of a valid plan of a program."""
    offsets = {(stay.tensor, stay.start): stay.offset for stay in plan.stays}
    pins = {}
    for number, site in enumerate(program.sites):
        group = program.problem.tensors[site.tensor].group
        if site.use < 0 and program.first_site[group] == number:
            offset = offsets.get((site.tensor, program.lasting(site.tensor)[0]))
            if offset is not None and site.tensor in plan.fast_definitions:
                pins[group] = offset
    copies = {
        (copy.tensor, copy.before): (copy.after, offsets[copy.tensor, copy.after + 1])
        for copy in plan.copies
        if copy.kind == "prefetch" and (copy.tensor, copy.after + 1) in offsets
    }
    return Places(pins, copies)
