"""XLA's own placement, read from the final HLO of its default compile: the plan that all others are compared with.

It may hold what our plan space does not: evictions, and loops whose buffers are in fast memory in part. A final HLO
text has no addresses, so these are found anew by best fit. A sliced copy counts as one whole copy that starts with its
first slice; where that takes more space than there is, with its last one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from mallocgame.game.occupancy import Occupancy
from mallocgame.plan.plan import Plan, Stay
from mallocgame.plan.problem_file import Default
from mallocgame.problem.reserved import fixed_reservations
from mallocgame.problem.schema import Problem
from mallocgame.solvers.base import Answer, Task, register
from mallocgame.system.errors import BadInputError, NoAnswerError

ORDERS = 200
"""Orders of best fit that are tried before the placement is given up."""

PROMOTION = 2.0
"""Factor on the weight of a part that found no room, for the next order."""

Part = tuple[Stay, ...]
"""Stays with one offset: all of an alias group of several tensors, else one."""


@register("xla")
def solve(task: Task) -> Answer:
    """Give the placement of a problem file; else read it back and give it addresses.

    Raises:
        BadInputError: there is neither a placement nor a final HLO.
        NoAnswerError: no addresses were found.
    """
    from mallocgame.models.replay import read_back, replay_plan

    if task.default is not None:
        return _stored(task.problem, task.default)
    if task.final is None:
        raise BadInputError(
            "the solver xla reads the final HLO: give it a capture, a problem file, a dump folder, or an HLO text from "
            "after memory space assignment"
        )
    found = read_back(task.problem, task.final)
    late = {(copy.tensor, copy.after): max(after for after, _ in copy.slices) for copy in found.copies if copy.slices}
    early_plan = found.to_plan()
    steps = 0
    for placed in (early_plan, _delayed(early_plan, late)):
        weights = _weights(task.problem, placed)
        rng = random.Random(task.seed)
        for _ in range(ORDERS):
            steps += 1
            stays, homeless = _best_fit(task.problem, sorted(weights, key=lambda part: -weights[part]))
            if homeless is None:
                plan = replace(placed, stays=tuple(sorted(stays)))
                return Answer(plan, replay_plan(task.problem, plan, "M").total, "feasible", steps)
            if task.stop_reason(steps) is not None:
                break
            weights[homeless] *= PROMOTION * rng.uniform(1.0, 2.0)
    raise NoAnswerError("no addresses found for XLA's own placement, whose slices count as whole copies")


def own_placement(task: Task) -> Plan | None:
    """XLA's own placement, its addresses aside; it may hold what our plan space does not. None where it is not known.

    Raises:
        BadInputError: the final HLO is not that of the problem.
    """
    from mallocgame.models.replay import read_back

    if task.default is not None:
        return task.default.plan
    return None if task.final is None else read_back(task.problem, task.final).to_plan()


def _stored(problem: Problem, default: Default) -> Answer:
    from mallocgame.models.replay import replay_plan
    from mallocgame.plan.validate import validate

    if default.plan is None:
        raise NoAnswerError(f"XLA's own placement is no plan of ours: {default.no_plan}")
    violations = validate(problem, default.plan)
    if violations:
        raise BadInputError(f"the placement of the problem file is not valid: {violations[0].message}")
    return Answer(default.plan, replay_plan(problem, default.plan, "M").total, "feasible", 0)


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


def _weights(problem: Problem, plan: Plan) -> dict[Part, float]:
    """The parts of a plan, weighted by bytes x time: heavier ones are given their address first."""
    parts: dict[tuple[int, Stay | None], list[Stay]] = {}
    for stay in plan.stays:
        group = problem.tensors[stay.tensor].group
        several = len(problem.groups[group].tensors) > 1
        parts.setdefault((group, None if several else stay), []).append(stay)
    return {
        part: float(_size(problem, part) * sum(stay.end - stay.start + 1 for stay in part))
        for part in map(tuple, parts.values())
    }


def _size(problem: Problem, part: Part) -> int:
    return max(problem.tensors[stay.tensor].size for stay in part)


def _best_fit(problem: Problem, parts: list[Part]) -> tuple[list[Stay], Part | None]:
    """Stays with addresses, up to the first part that finds no room, and that part."""
    occupancy = Occupancy(problem.target.fast_bytes, problem.target.alignment, fixed_reservations(problem))
    placed: list[Stay] = []
    for owner, part in enumerate(parts):
        size = _size(problem, part)
        offset = occupancy.best_fit([(stay.start, stay.end) for stay in part], size, owner)
        if offset is None:
            return placed, part
        for stay in part:
            placed.append(replace(stay, offset=offset))
            occupancy.add(placed[-1], size, owner)
    return placed, None
