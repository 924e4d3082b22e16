"""Elements that memory space assignment adds to loops, taken out again.

Where what a loop reads is in HBM already, MSA does not write it back at the end: it carries the array in HBM through
the loop as one more element, beside the copy in fast memory (OpenXLA's ``TransformEvictions``; libtpu 0.0.52).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mallocgame.problem.lifting.records import Body, Step
from xla_dump_parser import hlo


def without_added_elements(written: Mapping[str, hlo.Computation], bodies: Mapping[str, Body]) -> dict[str, Body]:
    """The computations without them.

    Args:
        written: those of the text.
        bodies: the same without MSA's copies.
    """
    found = dict(bodies)
    for name in bodies:
        for loop in [step for step in found[name].instructions if step.opcode == "while"]:
            while _last_is_added(written[name], found, found[name].by_name[loop.name]):
                _take_last(found, name, found[name].by_name[loop.name])
    return found


def _parts(bodies: Mapping[str, Body], loop: Step) -> tuple[Body, Body] | None:
    """Condition and body of a loop."""
    names = (loop.attributes.get(role, "").strip().lstrip("%") for role in ("condition", "body"))
    condition, body = (bodies.get(name) for name in names)
    return None if condition is None or body is None else (condition, body)


def _last_is_added(written: hlo.Computation, bodies: Mapping[str, Body], loop: Step) -> bool:
    """Whether the last element goes through the loop unread, and enters it a second time as a copy in fast memory."""
    home = next(body for body in bodies.values() if body.by_name.get(loop.name) is loop)
    initial = home.by_name[loop.operands[0]]
    parts = _parts(bodies, loop)
    if initial.opcode != "tuple" or parts is None or len(home.users[initial.name]) != 1:
        return False
    last = len(initial.operands) - 1
    condition, body = parts
    passed = _passed(body, last)
    if passed is None or body.users[passed.name] != (body.root.name,) or _reads_element(condition, last):
        return False
    source = initial.operands[last]
    before = written.by_name[initial.name].operands
    others = (number for number in range(last) if initial.operands[number] == source)
    return before[last] == source and any(before[number] != source for number in others)


def _passed(body: Body, number: int) -> Step | None:
    """The element of the parameter that a loop's body gives back at the same place, if it does."""
    if body.root.opcode != "tuple":
        return None
    step = body.by_name[body.root.operands[number]]
    if step.opcode != "get-tuple-element" or step.attributes["index"] != str(number):
        return None
    return step if body.by_name[step.operands[0]].opcode == "parameter" else None


def _reads_element(condition: Body, number: int) -> bool:
    return any(
        step.opcode == "get-tuple-element"
        and step.attributes["index"] == str(number)
        and condition.by_name[step.operands[0]].opcode == "parameter"
        for step in condition.instructions
    )


def _take_last(bodies: dict[str, Body], home: str, loop: Step) -> None:
    parts = _parts(bodies, loop)
    assert parts is not None
    condition, body = parts
    initial = bodies[home].by_name[loop.operands[0]]
    last = len(initial.operands) - 1
    for inside in (condition, body):
        steps = [_narrow(step, last) if step.opcode == "parameter" else step for step in inside.instructions]
        if inside is body:
            passed = body.root.operands[last]
            steps = [_narrow(step, last) if step.is_root else step for step in steps if step.name != passed]
        bodies[inside.name] = Body(inside.name, inside.is_entry, tuple(steps))
    results = {
        step.name: initial.operands[last]
        for step in bodies[home].instructions
        if step.opcode == "get-tuple-element"
        and step.operands == (loop.name,)
        and step.attributes["index"] == str(last)
    }
    kept = tuple(
        _narrow(step, last) if step.name in (initial.name, loop.name) else step
        for step in bodies[home].instructions
        if step.name not in results
    )
    narrowed = Body(home, bodies[home].is_entry, kept)
    bodies[home] = narrowed.reading(results)


def _narrow(step: Step, last: int) -> Step:
    """The instruction without the last element of its tuple."""
    assert isinstance(step.shape, hlo.TupleShape)
    operands = step.operands[:last] if step.opcode == "tuple" else step.operands
    return replace(step, shape=hlo.TupleShape(step.shape.elements[:last]), operands=operands)
