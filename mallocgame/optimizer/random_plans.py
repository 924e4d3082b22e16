"""Random valid plans, so that compiles of them show instructions under many placements."""

from __future__ import annotations

import random
from dataclasses import replace

from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.solvers.builder import Builder

ROOM = 0.75
"""Share of fast memory that a random plan may take: in a fuller one the compiler finds no place for a tensor half of
the time, which costs a compile and teaches nothing."""


def random_plan(problem: Problem, seed: int, share: float = 0.5) -> Plan:
    """A valid plan that puts each alias group into fast memory with probability ``share``, where it fits.

    Groups are tried in random order. One that can be pinned is pinned; one of which uses can be prefetched is
    prefetched for all of these uses or for a random half. Where nothing fits into ``ROOM``, all of fast memory is used.
    """
    plan = _random_plan(problem, random.Random(seed), share, int(ROOM * problem.target.fast_bytes))
    return plan if plan.stays else _random_plan(problem, random.Random(seed), share, problem.target.fast_bytes)


def _random_plan(problem: Problem, rng: random.Random, share: float, room: int) -> Plan:
    builder = Builder(replace(problem, target=replace(problem.target, fast_bytes=room)))
    groups = list(range(len(problem.groups)))
    rng.shuffle(groups)
    for group in groups:
        if rng.random() >= share or builder.pin(group):
            continue
        servings = builder.copyable(group)
        some = [number for number in servings if rng.random() < 0.5]
        if servings and not builder.fetch(group, servings if rng.random() < 0.5 else some or servings[:1]):
            builder.fetch(group, servings[:1])
    builder.commit()
    return builder.plan()
