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
        for loop in [step.name for step in found[name].instructions if step.opcode == "while"]:
            while (twin := _twin_of_last(written[name], found, found[name], found[name].by_name[loop])) is not None:
                _take_last(found, name, found[name].by_name[loop], twin)
    return found


def _parts(bodies: Mapping[str, Body], loop: Step) -> tuple[Body, Body] | None:
    """Condition and body of a loop."""
    names = (loop.attributes.get(role, "").strip().lstrip("%") for role in ("condition", "body"))
    condition, body = (bodies.get(name) for name in names)
    return None if condition is None or body is None else (condition, body)


def _twin_of_last(written: hlo.Computation, bodies: Mapping[str, Body], home: Body, loop: Step) -> int | None:
    """Number of the element that the last one of a loop is, if that was added.

    The last goes through the loop as it is, and both enter it as one array, one of them as a copy in fast memory. The
    twin goes through as it is, too, or is copied anew from the last at the end of the body.
    """
    initial = home.by_name[loop.operands[0]]
    parts = _parts(bodies, loop)
    if initial.opcode != "tuple" or parts is None or len(home.users[initial.name]) != 1:
        return None
    last = len(initial.operands) - 1
    condition, body = parts
    carried = _element(body, last)
    if body.root.opcode != "tuple" or carried is None or _element(condition, last) is not None:
        return None
    source, before = initial.operands[last], written.by_name[initial.name].operands
    if body.root.operands[last] != carried.name or before[last] != source:
        return None
    for number in range(last):
        own = _element(body, number)
        kept = {carried.name} if own is None else {carried.name, own.name}
        copied = initial.operands[number] == source != before[number]
        if copied and _entered(bodies, body, body.root.operands[number]) in kept:
            return number
    return None


def _entered(bodies: Mapping[str, Body], body: Body, name: str) -> str:
    """Name of what an element of a loop's result was before the loop, which gives it back as it is; else ``name``."""
    step = body.by_name[name]
    loop = body.by_name[step.operands[0]] if step.opcode == "get-tuple-element" else step
    parts = _parts(bodies, loop) if loop.opcode == "while" else None
    if parts is None or step is loop or body.by_name[loop.operands[0]].opcode != "tuple":
        return name
    number, inner = int(step.attributes["index"]), parts[1]
    passed = _element(inner, number)
    if passed is None or inner.root.opcode != "tuple" or inner.root.operands[number] != passed.name:
        return name
    return _entered(bodies, body, body.by_name[loop.operands[0]].operands[number])


def _element(body: Body, number: int) -> Step | None:
    """The element of its parameter that a computation takes, if it does."""
    for step in body.instructions:
        taken = step.opcode == "get-tuple-element" and step.attributes["index"] == str(number)
        if taken and body.by_name[step.operands[0]].opcode == "parameter":
            return step
    return None


def _take_last(bodies: dict[str, Body], home: str, loop: Step, twin: int) -> None:
    """Take the last element out of a loop; who reads it in the body reads its twin, and after the loop what entered."""
    parts = _parts(bodies, loop)
    assert parts is not None
    condition, body = parts
    initial = bodies[home].by_name[loop.operands[0]]
    last = len(initial.operands) - 1
    carried, own = _element(body, last), _element(body, twin)
    assert carried is not None
    bodies[condition.name] = _narrowed(condition, {}, last)
    one = replace(own or carried, index=twin)
    steps: list[Step] = []
    for step in body.instructions:
        if step.name not in (carried.name, one.name):
            steps.append(step)
        elif one not in steps:
            steps.append(one)
    bodies[body.name] = _narrowed(Body(body.name, body.is_entry, tuple(steps)), {carried.name: one.name}, last)
    around = bodies[home]
    results = {
        name: initial.operands[last]
        for name in around.users[loop.name]
        if around.by_name[name].opcode == "get-tuple-element" and around.by_name[name].attributes["index"] == str(last)
    }
    steps = [step for step in around.instructions if step.name not in results]
    steps = [_narrow(step, last) if step.name in (initial.name, loop.name) else step for step in steps]
    bodies[home] = Body(home, around.is_entry, tuple(steps)).reading(results)


def _narrowed(body: Body, names: Mapping[str, str], last: int) -> Body:
    """A loop's condition or body without the last element of what it is given and gives."""
    steps = [
        _narrow(step, last)
        if step.opcode == "parameter" or (step.is_root and isinstance(step.shape, hlo.TupleShape))
        else step
        for step in body.instructions
    ]
    return Body(body.name, body.is_entry, tuple(steps)).reading(names)


def _narrow(step: Step, last: int) -> Step:
    """The instruction without the last element of its tuple."""
    assert isinstance(step.shape, hlo.TupleShape)
    operands = step.operands[:last] if step.opcode == "tuple" else step.operands
    return replace(step, shape=hlo.TupleShape(step.shape.elements[:last]), operands=operands)
