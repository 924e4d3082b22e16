"""XLA's own placement, read from the final HLO of its default compile: the plan that all others are compared with.

It may hold what our plan space does not: evictions, and loops whose buffers are in fast memory in part. A final HLO
text has no addresses, so these are found anew by best fit. A sliced copy counts as one whole copy that starts with its
first slice; where that takes more space than there is, with its last one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from mallocgame.errors import BadInputError, NoAnswerError
from mallocgame.game.occupancy import Occupancy
from mallocgame.plan import Plan, Stay
from mallocgame.problem.schema import Problem
from mallocgame.solvers.base import Answer, Task, register

ORDERS = 60
"""Orders of best fit that are tried before the placement is given up."""

Part = tuple[Stay, ...]
"""Stays with one offset: all of an alias group of several tensors, else one."""


@register("xla")
def solve(task: Task) -> Answer:
    """Read the placement back and give it addresses.

    Raises:
        BadInputError: there is no final HLO.
        NoAnswerError: no addresses were found.
    """
    from mallocgame.replay import read_back, replay_plan

    if task.final is None:
        raise BadInputError("the solver xla reads the final HLO: give it a capture or a dump folder, not an HLO text")
    found = read_back(task.problem, task.final)
    late = {(copy.tensor, copy.after): max(after for after, _ in copy.slices) for copy in found.copies if copy.slices}
    early_plan = found.to_plan()
    tries = [(number, plan) for plan in (early_plan, _delayed(early_plan, late)) for number in range(ORDERS)]
    for step, (number, placed) in enumerate(tries):
        if task.stop_reason(step) is not None:
            break
        stays = _best_fit(task.problem, _order(task.problem, placed, number, task.seed))
        if stays is not None:
            plan = replace(placed, stays=tuple(sorted(stays)))
            return Answer(plan, replay_plan(task.problem, plan, "M").total, "feasible", step + 1)
    raise NoAnswerError("no addresses found for XLA's own placement, whose slices count as whole copies")


def _delayed(plan: Plan, late: Mapping[tuple[int | None, int], int]) -> Plan:
    """The plan with its prefetches, and their stays, from the start of their last slice on."""
    copies = []
    starts: dict[tuple[int, int], int] = {}
    for copy in plan.copies:
        after = min(late.get((copy.tensor, copy.after), copy.after), copy.before - 1)
        if copy.kind == "prefetch":
            starts[copy.tensor, copy.after + 1] = after + 1
            copies.append(replace(copy, after=after))
        else:
            copies.append(copy)
    stays = [replace(stay, start=starts.get((stay.tensor, stay.start), stay.start)) for stay in plan.stays]
    copies.sort(key=lambda copy: (copy.after, copy.tensor))
    return replace(plan, copies=tuple(copies), stays=tuple(sorted(stays)))


def _order(problem: Problem, plan: Plan, number: int, seed: int) -> list[Part]:
    """Parts by bytes x time, then by size, then by time; after that at random, large ones first by tendency."""
    parts: dict[tuple[int, Stay | None], list[Stay]] = {}
    for stay in plan.stays:
        group = problem.tensors[stay.tensor].group
        several = len(problem.groups[group].tensors) > 1
        parts.setdefault((group, None if several else stay), []).append(stay)
    rng = random.Random(seed * ORDERS + number)

    def weight(part: Part) -> float:
        size, times = _size(problem, part), sum(stay.end - stay.start + 1 for stay in part)
        fixed = (float(size * times), float(size), float(times))
        return fixed[number] if number < len(fixed) else size * times * rng.uniform(0.3, 1.0)

    weights = {part: weight(part) for part in map(tuple, parts.values())}
    return sorted(weights, key=lambda part: -weights[part])


def _size(problem: Problem, part: Part) -> int:
    return max(problem.tensors[stay.tensor].size for stay in part)


def _best_fit(problem: Problem, parts: list[Part]) -> list[Stay] | None:
    occupancy = Occupancy(problem.target.fast_bytes, problem.target.alignment)
    placed: list[Stay] = []
    for owner, part in enumerate(parts):
        size = _size(problem, part)
        offset = occupancy.best_fit([(stay.start, stay.end) for stay in part], size, owner)
        if offset is None:
            return None
        for stay in part:
            placed.append(replace(stay, offset=offset))
            occupancy.add(placed[-1], size, owner)
    return placed
