"""Random reservations for problems that have none."""

from __future__ import annotations

import random
from dataclasses import replace

from mallocgame.problem.schema import Problem, Reservation


def with_reservations(problem: Problem, seed: int, *, at_zero: bool = False) -> Problem:
    """The problem with instructions that reserve fast memory: from hardly any of it to all.

    As a program with Pallas kernels has it, one in three problems has a default at all other times; unlike there, some
    offsets are not 0 and no multiples of the alignment.

    Args:
        problem: without reservations.
        seed: of what is drawn.
        at_zero: whether all offsets are 0, as the compiler has it.
    """
    rng = random.Random(seed)
    capacity, times = problem.target.fast_bytes, len(problem.instructions)
    default = rng.choice([0, 0, capacity // 8])
    found: list[Reservation] = []
    start = 0
    while start < times:
        end = min(times - 1, start + rng.randint(0, 4))
        offset, size = 0, default
        if rng.random() < 0.5:
            size = rng.randint(1, capacity)
            offset = rng.choice([0, 0, rng.randint(0, capacity - size)])
        if size:
            found.append(Reservation(start, end, 0 if at_zero else offset, size))
        start = end + 1
    return replace(problem, reserved=tuple(found))
