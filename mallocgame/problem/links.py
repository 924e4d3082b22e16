"""Least times of collectives, by the links between chips, and what is to be told of them.

MSA gives a collective the time of its bytes at the memories' rates, the emitter gives it no cycles. What it waits for
is the network: an instruction that is charged for a collective takes, under both models, at least as long as the links
of one chip need for what has to come in.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mallocgame.problem.chips import CHIPS
from mallocgame.problem.costs.collectives import Collective, collective_of
from mallocgame.problem.counted import NETWORK
from mallocgame.problem.schedule import Schedule
from mallocgame.problem.schema import Target
from mallocgame.problem.targets import DEVICES_PER_CHIP
from mallocgame.problem.topologies import parse_topology
from xla_dump_parser import hlo

_CHARGED = {"whole": 1.0, "half": 0.5, "beside": 0.0}


@dataclass(frozen=True, slots=True)
class Links:
    """What the links of one chip take in.

    Attributes:
        bandwidth: bytes/second, all links that the chip has in the slice together, one way; None where not known.
        source: where that is from, or why it is not known.
    """

    bandwidth: float | None
    source: str


def links_of(target: str, topology: str | None) -> Links:
    """The links of a chip of a target.

    A slice is a mesh: in a dimension of two chips each has one link, in a longer one at most two. (Only dimensions of
    16 on v5e and v6e, or of 4 k on the others, are closed to rings; they have two as well.)

    Args:
        target: its name.
        topology: of the program's devices, as ``str(Topology)``; None where not known: all links of a chip count.

    Raises:
        BadInputError: the topology is none.
    """
    chip = CHIPS.get(target)
    if chip is None or chip.interconnect is None:
        return Links(None, f"nothing is known of those of {target}")
    known = chip.interconnect
    count, slices = known.links, 1
    if topology is not None:
        parsed = parse_topology(topology)
        slices = parsed.slices
        shape = [int(side) for side in parsed.name.partition(":")[2].split("x")]
        count = min(count, sum(min(2, side - 1) for side in shape))
    if slices > 1:
        return Links(None, "nothing is known of the network between slices")
    told = f"{count} of {known.links} of a chip, {known.bandwidth / 1e9:g} GB/s each, one way ({known.source})"
    return Links(count * known.bandwidth, told)


@dataclass(frozen=True)
class Collectives:
    """The collectives of a schedule.

    Attributes:
        links: of a chip.
        charged: by time, least seconds of the instructions that are charged for one; None where not known.
        beside: seconds of the links for each that runs beside the program; None where not known.
    """

    links: Links
    charged: dict[int, float | None]
    beside: tuple[float | None, ...]


def collectives_of(
    module: hlo.HloModule, schedule: Schedule, target: Target, topology: str | None, elsewhere: Collection[int]
) -> Collectives:
    """The collectives of a schedule, those that move nothing between chips left out.

    Args:
        module: the text.
        schedule: of it.
        target: of the program.
        topology: of its devices; None where not known.
        elsewhere: computations that run beside the program, whose starts are charged for what is in them.
    """
    links = links_of(target.name, topology)
    found: list[tuple[int, Collective]] = []
    for time, step in enumerate(schedule.steps):
        if schedule.computation_of[time] not in elsewhere:
            body = schedule.bodies[schedule.computation_of[time]]
            collective = collective_of(module, body, step, DEVICES_PER_CHIP.get(target.name, 1))
            if collective is not None and collective.incoming != 0:
                found.append((time, collective))
    return Collectives(
        links,
        {time: _seconds(links, each) for time, each in found if each.share != "beside"},
        tuple(_seconds(links, each, 1.0) for _, each in found if each.share == "beside"),
    )


def _seconds(links: Links, collective: Collective, share: float | None = None) -> float | None:
    """Seconds of the links, as far as they are charged to the instruction, or of a share of them."""
    if not links.bandwidth or collective.incoming is None:
        return None
    charged = _CHARGED[collective.share] if share is None else share
    return charged * collective.incoming / links.bandwidth


def network_notes(collectives: Collectives) -> tuple[str, ...]:
    """What is told of the links themselves, and of collectives that neither model counts.

    How much of M rests on the links is told beside what else figures rest on (``mallocgame.problem.counted``).
    """
    notes = []
    if collectives.charged:
        notes.append(NETWORK + collectives.links.source)
    if collectives.beside:
        known = [seconds for seconds in collectives.beside if seconds is not None]
        least = f"; one run of each takes at least {1e6 * sum(known):.4g} us of the links" if known else ""
        notes.append(f"beside the program: collectives that no model counts, {len(collectives.beside)}{least}")
    return tuple(notes)
