"""What compiles say about cycles: read from final HLO texts, kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mallocgame.models.cycles.sites import MAX_SITES, sites_of
from mallocgame.models.cycles.table import CycleTable
from mallocgame.models.replay.final_replay import cycles_of
from mallocgame.models.replay.final_text import FinalText
from mallocgame.problem.schema import Problem
from mallocgame.system.checked_json import bad, parse_json
from xla_dump_parser import hlo, parse_hlo

_MAX_CYCLES = 10**15


@dataclass(frozen=True, slots=True)
class Observation:
    """One compile.

    Attributes:
        masks: for each time of the problem its placement mask.
        cycles: for each time the emitter's cycles; None where it has none, or the text no longer has the instruction.
    """

    masks: tuple[int, ...]
    cycles: tuple[int | None, ...]


def observation_of(problem: Problem, final: hlo.HloModule) -> Observation:
    """What a final text shows.

    Raises:
        BadInputError: the text is not scheduled, does not hold together, or is of another program.
    """
    text = FinalText(problem, final)
    masks = [0] * len(problem.instructions)
    cycles: list[int | None] = [None] * len(problem.instructions)
    for time, instruction in enumerate(problem.instructions):
        step = text.step(instruction.name)
        if step is None:
            continue
        cycles[time] = cycles_of(step)
        for bit, (tensor, use) in enumerate(sites_of(problem, time)):
            if use < 0:
                fast = text.is_fast(step.name, problem.tensors[tensor].index)
            else:
                fast = text.reads_fast(step, problem.tensors[tensor].uses[use].operands) == 1.0
            masks[time] |= fast << bit
    return Observation(tuple(masks), tuple(cycles))


def observe_final(problem: Problem, final: hlo.HloModule | str, table: CycleTable) -> None:
    """Add a final text to the table.

    Raises:
        BadInputError: as ``observation_of``.
        xla_dump_parser.ParseError: the text is damaged.
    """
    seen = observation_of(problem, parse_hlo(final, "final") if isinstance(final, str) else final)
    table.observe(seen.masks, seen.cycles)


def to_text(observations: Sequence[Observation]) -> str:
    """Observations as JSON; empty for none."""
    return json.dumps([[seen.masks, seen.cycles] for seen in observations]) if observations else ""


def observations_of(text: str, problem: Problem) -> tuple[Observation, ...]:
    """The observations in a text of ``to_text``; nothing in it is trusted.

    Raises:
        BadInputError: it is damaged, or of another program.
    """
    found = parse_json(text.encode(), "observed") if text else []
    if not isinstance(found, list):
        raise bad("observed", "a list", found)
    return tuple(_observation(entry, problem, f"observed[{number}]") for number, entry in enumerate(found))


def _observation(entry: object, problem: Problem, where: str) -> Observation:
    times = len(problem.instructions)
    if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, list) for part in entry)):
        raise bad(where, "masks and cycles", entry)
    masks, cycles = entry
    if not len(masks) == len(cycles) == times:
        raise bad(where, f"a mask and cycles for each of {times} instructions", f"{len(masks)} and {len(cycles)}")
    if not all(_is_natural(mask, 2**MAX_SITES) for mask in masks):
        raise bad(where, "placement masks", "something else")
    if not all(count is None or _is_natural(count, _MAX_CYCLES) for count in cycles):
        raise bad(where, "numbers of cycles", "something else")
    return Observation(tuple(masks), tuple(cycles))


def _is_natural(value: object, limit: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < limit
