"""Optima that are best subsets: candidates that all live at the same time, more than fast memory holds.

Construction: the program is a row of segments. At the first step of a segment all of its candidates are produced, at
its last all of them are read, and between, steps and loop bodies read some of them; a candidate may be an alias group
updated in place on the way. No use can be prefetched, and no instruction has anything to compute.

Proof: without prefetches and evictions (which cannot be expressed) a candidate is in fast memory for its whole life or
not at all. With nothing to compute, an instruction takes the sum of its bytes over their bandwidths, so that what a
candidate saves does not depend on the others; a plan saves the sum over those that it pins. Candidates of one segment
are all live at its last step, so that the sizes of the pinned ones sum up to at most the size of fast memory; where
they do, all of them fit, one above the other, as sizes are multiples of the alignment. Segments share no time. So the
best plan is a best subset of each segment, which a table over (candidates, units of memory) finds exactly: the 0/1
knapsack problem, in integers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from mallocgame.plan.plan import Plan, Stay
from mallocgame.problem.schema import Computation, Problem
from workloads.generator import known_recipe as known
from workloads.generator.draft import Draft

AWKWARD = 0.1
"""Chance that a candidate may not be in fast memory."""


@dataclass(eq=False)
class _Candidate:
    """One alias group of a segment; its size in units, and its current value in the draft."""

    size: int
    fixed: bool
    value: int
    values: list[int] = field(default_factory=list)


def best_subset(sizes: list[int], values: list[int], capacity: int) -> list[int]:
    """Positions of a subset with the largest sum of values among those with a sum of sizes of at most ``capacity``."""
    best = [0] * (capacity + 1)
    taken = []
    for size, value in zip(sizes, values, strict=True):
        before = best.copy()
        for room in range(size, capacity + 1):
            best[room] = max(before[room], before[room - size] + value)
        taken.append([one != other for one, other in zip(best, before, strict=True)])
    chosen, room = [], capacity
    for number in reversed(range(len(sizes))):
        if taken[number][room]:
            chosen.append(number)
            room -= sizes[number]
    return sorted(chosen)


def build(rng: random.Random, recipe: known.KnownRecipe, name: str) -> tuple[Problem, Plan]:
    """A problem and its best plan."""
    units = rng.randint(3, 48)
    writer = _Writer(rng, units)
    left, steps = max(2, recipe.tensors), max(3, recipe.steps)
    while left > 0:
        count = min(left, rng.randint(2, 12))
        left -= count
        writer.segment(count, max(1, steps * count // max(2, recipe.tensors) - 2))
    problem = writer.finish(name)
    return problem, writer.plan(problem)


class _Writer(Draft):
    def __init__(self, rng: random.Random, units: int) -> None:
        super().__init__()
        self.rng, self.units = rng, units
        self.entry = self.reserve_computation()
        self.emit(self.entry, "parameter", free=True)
        self.segments: list[list[_Candidate]] = []
        self.runs: dict[int, int] = {}

    def segment(self, count: int, between: int) -> None:
        """Add a segment of so many candidates, with so many steps between the first and the last."""
        time = self._leaf(self.entry)
        made = []
        for number in range(count):
            size = self.rng.randint(1, max(1, self.units // 2))
            candidate = _Candidate(size, self.rng.random() < AWKWARD, -1)
            self._make(candidate, time, number)
            made.append(candidate)
        while between > 0:
            if between > 1 and self.rng.random() < 0.25:
                self._loop(made)
                between -= 2
            else:
                self._step(self.entry, made, self.rng.randint(1, 3), may_update=True)
                between -= 1
        self._step(self.entry, made, count, may_update=False)
        self.segments.append(made)

    def finish(self, name: str) -> Problem:
        """Close the program and price it: nothing to compute."""
        root = self.emit(self.entry, "tuple", free=True)
        self.computations[self.entry] = Computation("entry", 0, root, "entry", None, 1)
        moved = [0.0] * len(self.instructions)
        for value in self.values:
            moved[value.time] += value.defined_bytes
            for time, (_, accessed, _) in value.uses.items():
                moved[time] += accessed
        for time, instruction in enumerate(self.instructions):
            if not instruction.free:
                own = self.rng.choice([0, 256, 4096])
                self.instructions[time] = replace(instruction, total_bytes=moved[time] + own)
        return self.problem(name, known.target(self.units))

    def plan(self, problem: Problem) -> Plan:
        """Pin the best subset of each segment, one above the other."""
        pinned, stays = [], []
        for segment in self.segments:
            able = [candidate for candidate in segment if not candidate.fixed]
            sizes = [candidate.size for candidate in able]
            height = 0
            for number in best_subset(sizes, list(map(self._saved, able)), self.units):
                for tensor in (problem.tensors[id] for id in able[number].values):
                    pinned.append(tensor)
                    stays.append(Stay(tensor.id, *tensor.live, height * known.UNIT))
                height += sizes[number]
        return Plan(
            problem.fingerprint,
            frozenset(tensor.id for tensor in pinned),
            frozenset((tensor.id, number) for tensor in pinned for number in range(len(tensor.uses))),
            tuple(sorted(stays)),
        )

    def _saved(self, candidate: _Candidate) -> int:
        """What pinning saves, in bytes of HBM: an integer, as all bytes accessed are multiples of 256."""
        saved = 0.0
        for value in (self.values[number] for number in candidate.values):
            saved += self.runs[value.time] * value.defined_bytes * (1 - 1 / known.WRITE_FACTOR)
            for time, (_, accessed, _) in value.uses.items():
                saved += self.runs.get(time, 0) * accessed * (1 - 1 / known.READ_FACTOR)
        return int(saved)

    def _make(self, candidate: _Candidate, time: int, number: int) -> None:
        size = candidate.size * known.UNIT
        value = self.define(time, size, size / (1 if not candidate.values else 4), (number,))
        if candidate.values:
            self.alias(candidate.values[0], value)
        if candidate.fixed:
            self.values[value].fixed = "awkward"
        candidate.value = value
        candidate.values.append(value)

    def _leaf(self, computation: int, runs: int = 1) -> int:
        time = self.emit(computation, "fusion")
        self.runs[time] = runs
        return time

    def _step(self, computation: int, made: list[_Candidate], count: int, may_update: bool, runs: int = 1) -> None:
        """A leaf that reads so many candidates, and may update the first of them."""
        time = self._leaf(computation, runs)
        read = self.rng.sample(made, min(count, len(made)))
        for operand, candidate in enumerate(read):
            size = self.values[candidate.value].size
            self.use(candidate.value, time, operand, self.rng.choice([0.25, 0.5, 1.0, 2.0]) * size, None)
        if may_update and self.rng.random() < 0.3:
            self._make(read[0], time, 0)

    def _loop(self, made: list[_Candidate]) -> None:
        """A loop whose body reads some candidates."""
        condition, body = self.reserve_computation(), self.reserve_computation()
        trips = self.rng.randint(1, 5)
        first = self.emit(condition, "parameter", free=True)
        end = self._leaf(condition, trips)
        parameter = self.emit(body, "parameter", free=True)
        read = self.rng.sample(made, min(2, len(made)))
        self._step(body, read, 2, may_update=False, runs=trips)
        root = self.emit(body, "tuple", free=True)
        caller = self.emit(self.entry, "while", free=True)
        for number, candidate in enumerate(read):
            self.use(candidate.value, root, number, 0.0, None)
            self.use(candidate.value, caller, number, 0.0, None)
        self.computations[condition] = Computation(f"c{condition}", first, end, "condition", caller, trips)
        self.computations[body] = Computation(f"c{body}", parameter, root, "body", caller, trips)
