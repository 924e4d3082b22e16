"""Places of instructions that memory space assignment moved, as far as the text tells them."""

from __future__ import annotations

from collections.abc import Collection

from mallocgame.problem.lifting.records import Body, Step


def in_place(body: Body, ahead: Collection[str]) -> Body:
    """The computation with such instructions put back.

    Args:
        body: the computation without MSA's copies.
        ahead: names of parameters that stand first because a copy of them starts before everything else.
    """
    steps = list(body.instructions)
    for name in ahead:
        _put_among_parameters(steps, name)
    return Body(body.name, body.is_entry, tuple(steps))


def _put_among_parameters(steps: list[Step], name: str) -> None:
    """Put a parameter where its number belongs, where the others are in order of their numbers, up or down."""
    step = next(step for step in steps if step.name == name)
    others = [(place, int(other.literal or 0)) for place, other in enumerate(steps) if other.opcode == "parameter"]
    number = int(step.literal or 0)
    others = [(place, other) for place, other in others if other != number]
    numbers = [other for _, other in others]
    up = numbers == sorted(numbers)
    if len(numbers) < 2 or not (up or numbers == sorted(numbers, reverse=True)):
        return
    after = next((place for place, other in others if (other > number) == up), others[-1][0] + 1)
    before = steps.index(step)
    steps.insert(after, step)
    steps.pop(before if after > before else before + 1)
