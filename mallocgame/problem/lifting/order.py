"""Places of instructions that memory space assignment moved, as far as the text tells them."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

from mallocgame.problem.costs.cost import is_asynchronous
from mallocgame.problem.lifting.records import Body, Step
from xla_dump_parser import hlo

_STILL = frozenset({"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "copy"})


def in_place(body: Body, ahead: Collection[str], restored: Collection[str]) -> Body:
    """The computation with such instructions put back.

    Args:
        body: the computation without MSA's copies.
        ahead: names of parameters that stand first because a copy of them starts before everything else.
        restored: names of the synchronous instructions that were put back where their copies ended.
    """
    steps = _bitcasts_after_operands(body)
    for name in ahead:
        _put_among_parameters(steps, name)
    for name in restored:
        _put_before_waits(steps, name)
    return Body(body.name, body.is_entry, tuple(steps))


def takes_time(step: hlo.Instruction) -> bool:
    """Whether an instruction takes time; copies aside, whose places among one another are not told."""
    return step.opcode not in _STILL and not is_asynchronous(step.opcode)


def _bitcasts_after_operands(body: Body) -> list[Step]:
    """The instructions with bitcasts of copies directly after what was copied.

    There bitcasts stand before MSA (402 of 415 in 40 programs, libtpu 0.0.52); after it, before their readers.
    """
    steps: list[Step] = []
    waiting: dict[str, list[Step]] = {}
    for step in body.instructions:
        if step.opcode == "bitcast" and step.name != step.written.name:
            waiting.setdefault(step.operands[0], []).append(step)
    for step in body.instructions:
        if not step.operands or step not in waiting.get(step.operands[0], ()):
            pending = [step]
            while pending:
                steps.append(pending.pop(0))
                pending += waiting.get(steps[-1].name, ())
    return steps


def _put_among_parameters(steps: list[Step], name: str) -> None:
    """Put a parameter where its number belongs: between its two neighbours, or where all are in order, up or down."""
    place = next(place for place, step in enumerate(steps) if step.name == name)
    step = steps.pop(place)
    number = int(step.literal or 0)
    others = [(at, int(other.literal or 0)) for at, other in enumerate(steps) if other.opcode == "parameter"]
    numbers = [other for _, other in others]
    up = numbers == sorted(numbers)
    between = [at for (_, one), (at, other) in pairwise(others) if {one, other} == {number - 1, number + 1}]
    if between:
        place = between[0]
    elif len(numbers) > 1 and (up or numbers == sorted(numbers, reverse=True)):
        place = next((at for at, other in others if (other > number) == up), others[-1][0] + 1)
    steps.insert(place, step)


def _put_before_waits(steps: list[Step], name: str) -> None:
    """Put a synchronous instruction before the waits in front of it: the compiler waits as late as it can."""
    place = next(place for place, step in enumerate(steps) if step.name == name)
    first = place
    while first and (steps[first - 1].opcode.endswith("-done") or steps[first - 1].opcode == "bitcast"):
        first -= 1
    waits = [step.name for step in steps[first:place] if step.opcode.endswith("-done")]
    between = {step.name for step in steps[first:place]}
    if waits and not between.intersection(steps[place].operands):
        steps.insert(next(at for at in range(first, place) if steps[at].name == waits[0]), steps.pop(place))
