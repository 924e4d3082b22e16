"""Optima that are bound by bandwidth: prefetches that compete for the idle time of one instruction.

Construction: a row of while loops. The body of each is one instruction that computes, leaving a known HBM time idle
(the window), and then one that reads all of the loop's own entry parameters and has nothing to compute. A parameter
can be prefetched inside the body alone.

Proof: let a plan copy the parameters S of a loop, of sizes s and read bytes a, over HBM bandwidth B and fast read
bandwidth F; w is the time that the window leaves idle. A round begins with an empty queue and no copy starts before
it. The copies have all arrived when the reading instruction starts, and until then only the window and stalls give
them bandwidth, so the round stalls for at least max(0, sum(s) / B - w), and takes
    window + sum of a / B not in S + sum of a / F in S + at least that stall;
with equality where all copies start before the window. S has to fit in fast memory at the reading instruction, and
does fit if its sizes sum up to at most the whole, as they are multiples of the alignment. So the best S minimises this
formula over all subsets that fit, which are enumerated, in integers. Loops share no time and no parameters.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import compress, product

from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.problem.schema import Computation, Problem
from workloads.generator import known_recipe as known
from workloads.generator.draft import Draft

MOST = 8
"""Parameters of one loop."""


def build(rng: random.Random, recipe: known.KnownRecipe, name: str) -> tuple[Problem, Plan]:
    """A problem and its best plan."""
    units = rng.randint(3, 16)
    draft = Draft()
    entry = draft.reserve_computation()
    loops = []
    left = max(1, recipe.tensors)
    while left > 0:
        count = min(left, rng.randint(1, MOST))
        left -= count
        loops.append([_parameter(rng, draft, entry, units) for _ in range(count)])
    copies: list[Copy] = []
    stays: list[Stay] = []
    for values in loops:
        _loop(rng, draft, entry, values, units, copies, stays)
    root = draft.emit(entry, "tuple", free=True)
    draft.computations[entry] = Computation("entry", 0, root, "entry", None, 1)
    problem = draft.problem(name, known.target(units))
    uses = frozenset((copy.tensor, 0) for copy in copies)
    return problem, Plan(problem.fingerprint, frozenset(), uses, tuple(sorted(stays)), tuple(copies))


def best_copies(sizes: list[int], reads: list[int], window: int, capacity: int) -> list[int]:
    """Positions of a best set of copies.

    Args:
        sizes: bytes of each copy.
        reads: bytes that are then read from fast memory instead of HBM.
        window: bytes that can be copied without a stall.
        capacity: bytes of fast memory.
    """

    def cost(chosen: tuple[bool, ...]) -> int:
        """Seconds of HBM_BANDWIDTH * READ_FACTOR."""
        read = sum(size * (1 if fast else known.READ_FACTOR) for size, fast in zip(reads, chosen, strict=True))
        return read + known.READ_FACTOR * max(0, sum(compress(sizes, chosen)) - window)

    every = product((False, True), repeat=len(sizes))
    best = min((chosen for chosen in every if sum(compress(sizes, chosen)) <= capacity), key=cost)
    return list(compress(range(len(sizes)), best))


def _parameter(rng: random.Random, draft: Draft, entry: int, units: int) -> int:
    time = draft.emit(entry, "parameter", free=True)
    return draft.define(time, rng.randint(1, max(1, units * 2 // 3)) * known.UNIT, 0.0, hbm="entry parameter")


def _loop(
    rng: random.Random,
    draft: Draft,
    entry: int,
    values: list[int],
    units: int,
    copies: list[Copy],
    stays: list[Stay],
) -> None:
    """Add a loop over these parameters, and its best copies."""
    condition, body = draft.reserve_computation(), draft.reserve_computation()
    first = draft.emit(condition, "parameter", free=True)
    end = draft.emit(condition, "fusion", 0.0, 256.0)
    parameter = draft.emit(body, "parameter", free=True)
    sizes = [draft.values[value].size for value in values]
    window = rng.randint(0, max(1, 3 * sum(sizes) // 4) // 256) * 256
    own = rng.choice([0, 1024])
    draft.emit(body, "fusion", (own + window) / known.HBM_BANDWIDTH, float(own))
    reader = draft.emit(body, "fusion")
    reads = [int(size * rng.choice([0.5, 1, 1, 1.5, 2])) for size in sizes]
    draft.instructions[reader] = replace(draft.instructions[reader], total_bytes=float(sum(reads) + own))
    root = draft.emit(body, "tuple", free=True)
    caller = draft.emit(entry, "while", free=True)
    for operand, (value, accessed) in enumerate(zip(values, reads, strict=True)):
        draft.use(value, reader, operand, float(accessed), parameter)
        draft.use(value, root, operand, 0.0, None)
        draft.use(value, caller, operand, 0.0, None)
    trips = rng.randint(1, 5)
    draft.computations[condition] = Computation(f"c{condition}", first, end, "condition", caller, trips)
    draft.computations[body] = Computation(f"c{body}", parameter, root, "body", caller, trips)
    height = 0
    for number in best_copies(sizes, reads, window, units * known.UNIT):
        copies.append(Copy(values[number], "prefetch", parameter, reader))
        stays.append(Stay(values[number], parameter + 1, reader, height))
        height += sizes[number]
