"""Programs as another compiler would have them: the same tensors under other names, in another order, with more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from mallocgame.plan.named_plan import NamedTensor, NamedUse, name_plan, stem_of
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem


def tensors_of(problem: Problem) -> tuple[NamedTensor, ...]:
    return name_plan(problem, Plan(problem.fingerprint), solver="none").tensors


def renumbered(tensors: Sequence[NamedTensor], rng: Random) -> list[NamedTensor]:
    """With the numbers in the names of all instructions dealt out anew."""
    names = sorted(
        {*(tensor.instruction for tensor in tensors), *(use.instruction for it in tensors for use in it.uses)}
    )
    numbers = list(range(len(names)))
    rng.shuffle(numbers)
    new = {name: f"{stem_of(name)}.{number}" for name, number in zip(names, numbers, strict=True)}
    return [
        replace(
            tensor,
            instruction=new[tensor.instruction],
            uses=tuple(replace(use, instruction=new[use.instruction]) for use in tensor.uses),
        )
        for tensor in tensors
    ]


def reordered(tensors: Sequence[NamedTensor], rng: Random) -> tuple[list[NamedTensor], list[int]]:
    """With many neighbours in another order; the places of the old ids."""
    order = list(range(len(tensors)))
    for _ in order:
        at = rng.randrange(len(order) - 1)
        order[at], order[at + 1] = order[at + 1], order[at]
    places = [0] * len(order)
    for place, id in enumerate(order):
        places[id] = place
    return [replace(tensors[id], id=place) for place, id in enumerate(order)], places


def with_more(tensors: Sequence[NamedTensor], rng: Random, count: int) -> list[NamedTensor]:
    """With so many more instructions, each of which reads a tensor and writes one that nothing reads."""
    found = list(tensors)
    for number in range(count):
        read, name = rng.choice(tensors), f"inserted.{number}"
        use = NamedUse(name, ((0, ()),), False)
        found[read.id] = replace(found[read.id], uses=(*found[read.id].uses, use))
        found.append(NamedTensor(len(found), name, (), read.size, len(found), False, ()))
    return found
