"""Random problems of controlled size, contention and aliasing, from a seed.

They have what real ones have: entry parameters and results, in-place updates, while loops with carried values,
conditionals, calls, values that may never be in fast memory, uses that no prefetch can serve.
"""

from __future__ import annotations

import random
from dataclasses import replace

from mallocgame.problem.placement import TWO_CORES
from mallocgame.problem.schema import Computation, Problem, Target
from workloads.generator.draft import ALIGNMENT, Draft
from workloads.generator.recipes import Recipe

HBM_BANDWIDTH = 1e9


def random_problem(seed: int, recipe: Recipe | None = None) -> Problem:
    """The problem of this seed and recipe."""
    return _Writer(random.Random(seed), recipe or Recipe()).write()


class _Writer(Draft):
    def __init__(self, rng: random.Random, recipe: Recipe) -> None:
        super().__init__()
        self.rng, self.recipe = rng, recipe
        self.budget = recipe.instructions
        self.invariant: set[int] = set()

    def write(self) -> Problem:
        entry = self.reserve_computation()
        start = len(self.instructions)
        visible: list[int] = []
        for _ in range(self.rng.randint(1, self.recipe.parameters)):
            time = self.emit(entry, "parameter", free=True)
            visible.append(self.define(time, self._size(), 0.0, hbm="entry parameter"))
        self._fill(entry, visible, 0)
        results = self.rng.sample(visible, min(len(visible), 2))
        root = self.emit(entry, "tuple", free=True)
        for number, value in enumerate(results):
            self.use(value, root, number, 0.0, None)
            for member in range(len(self.values)):
                if self.find(member) == self.find(value) and self.values[member].hbm_definition is None:
                    self.values[member].hbm_definition = "entry result" if member == value else None
        self.computations[entry] = Computation("entry", start, root, "entry", None, 1)
        return self.problem("random", _target(self.recipe.fast_bytes))

    def _fill(self, computation: int, visible: list[int], depth: int) -> None:
        """Emit steps until the budget (of a nested computation: a part of it) is spent."""
        steps = self.budget if depth == 0 else min(self.budget, self.rng.randint(1, 5))
        while steps > 0 and self.budget > 0:
            steps -= 1
            self.budget -= 1
            draw = self.rng.random() * 3**depth / max(self.recipe.nesting, 1e-9)
            own = [value for value in visible if value not in self.invariant]
            if depth < 3 and own and draw < 0.5:
                self._while(computation, visible, depth)
            elif depth < 3 and own and draw < 0.8:
                self._conditional(computation, visible, depth)
            elif depth < 3 and visible and draw < 1.0:
                self._call(computation, visible, depth)
            else:
                self._leaf(computation, visible)

    def _leaf(self, computation: int, visible: list[int]) -> None:
        operands = self.rng.sample(visible, min(len(visible), self.rng.randint(1, 3)))
        accessed = [float(self.rng.choice([1.0, 1.0, 0.5, 2.0]) * self.values[value].size) for value in operands]
        updated = None
        if operands and operands[0] not in self.invariant and self.rng.random() < self.recipe.aliasing:
            updated = operands[0]
            size = self.values[updated].size * self.rng.choice([1, 1, 2])  # padded differently, in one buffer
            accessed[0] = written = size / 4
        else:
            size = self._size()
            written = float(size)
        total = sum(accessed) + written + self.rng.choice([0.0, 0.0, 512.0])
        compute = total / HBM_BANDWIDTH * self.rng.choice([0.01, 0.3, 0.8, 1.5, 3.0]) * self.rng.uniform(0.9, 1.1)
        time = self.emit(computation, "fusion", compute=compute, total=total)
        for number, value in enumerate(operands):
            after = self.values[value].time if self.is_in(value, computation) else None
            if value in self.invariant and after is None and self.rng.random() < 0.3:
                after = next(t for t, made in enumerate(self.instructions) if made.computation == computation)
            if self.rng.random() < self.recipe.awkward:
                after = None
            self.use(value, time, number, accessed[number], after)
            if self.rng.random() < self.recipe.bitcasts and value not in self.invariant:
                self.use(value, self.emit(computation, "bitcast", free=True), 0, 0.0, after)
        apart = updated is None and self.recipe.two_cores > 0 and self.rng.random() < self.recipe.two_cores
        made = self.define(time, size, written, hbm=TWO_CORES if apart else None)
        if updated is not None:
            self.alias(updated, made)
            visible.remove(updated)
        elif self.rng.random() < self.recipe.awkward:
            self.values[made].fixed = "awkward"
        visible.append(made)

    def _while(self, computation: int, visible: list[int], depth: int) -> None:
        own = [value for value in visible if value not in self.invariant]
        carried = self.rng.sample(own, min(len(own), self.rng.randint(1, 2)))
        others = [value for value in visible if value not in carried]
        passed = self.rng.sample(others, min(len(others), self.rng.randint(0, self.recipe.invariants)))
        outside, self.invariant = self.invariant, self.invariant | set(passed)
        trips = self.rng.randint(1, 7)
        condition, body = self.reserve_computation(), self.reserve_computation()
        first = len(self.instructions)
        inner = self._parameters(condition, carried)
        self._leaf_reading(condition, inner)
        condition_end = len(self.instructions) - 1
        inner = self._parameters(body, carried)
        parameters = list(inner)
        inside = [*inner, *passed]
        self._fill(body, inside, depth + 1)
        self._close(body, parameters, carried, inside)
        body_end = len(self.instructions) - 1
        self.invariant = outside
        caller = self.emit(computation, "while", free=True)
        for number, value in enumerate(passed):
            self.use(value, body_end, len(carried) + number, 0.0, None)
            after = self.values[value].time if self.is_in(value, computation) else None
            self.use(value, caller, len(carried) + number, 0.0, after)
        self.computations[condition] = Computation(f"c{condition}", first, condition_end, "condition", caller, trips)
        self.computations[body] = Computation(f"c{body}", condition_end + 1, body_end, "body", caller, trips)
        self._pass_and_return(caller, carried, visible)

    def _close(self, body: int, parameters: list[int], carried: list[int], inner: list[int]) -> None:
        """End a body: each carried value is passed through, or made anew in the buffer of the parameter."""
        results = []
        for number, value in enumerate(carried):
            if self.rng.random() < 0.5:
                results.append(parameters[number])
                continue
            size = self.values[value].size
            time = self.emit(body, "fusion", compute=size / HBM_BANDWIDTH * self.rng.random(), total=float(size))
            made = self.define(time, size, float(size))
            self.alias(value, made)
            results.append(made)
        self._leaf_reading(body, [value for value in inner if value not in parameters] or results)
        root = self.emit(body, "tuple", free=True)
        for number, value in enumerate(results):
            self.use(value, root, number, 0.0, None)

    def _conditional(self, computation: int, visible: list[int], depth: int) -> None:
        operand = self.rng.choice([value for value in visible if value not in self.invariant])
        size = self._size()
        spans = []
        results = []
        for _ in range(2):
            branch = self.reserve_computation()
            start = len(self.instructions)
            inner = self._parameters(branch, [operand])
            self._fill(branch, inner, depth + 1)
            time = self.emit(branch, "fusion", compute=size / HBM_BANDWIDTH * self.rng.random(), total=float(size))
            results.append(self.define(time, size, float(size)))
            spans.append((branch, start, time))
        caller = self.emit(computation, "conditional", free=True)
        for branch, start, end in spans:
            self.computations[branch] = Computation(f"c{branch}", start, end, "branch", caller, 1)
        self.use(operand, caller, 0, 0.0, None)
        made = self.define(caller, size, 0.0)
        for result in results:
            self.values[result].live_to = caller
            self.alias(result, made)
        visible.append(made)

    def _call(self, computation: int, visible: list[int], depth: int) -> None:
        callee = self.reserve_computation()
        start = len(self.instructions)
        inner: list[int] = []
        self._leaf(callee, inner)
        self._fill(callee, inner, depth + 1)
        self._leaf_reading(callee, inner)
        result = inner[-1]
        end = len(self.instructions) - 1
        caller = self.emit(computation, "call", free=True)
        self.computations[callee] = Computation(f"c{callee}", start, end, "call", caller, 1)
        made = self.define(caller, self.values[result].size, 0.0)
        self.values[result].live_to = caller
        self.alias(result, made)
        visible.append(made)

    def _parameters(self, computation: int, outer: list[int]) -> list[int]:
        time = self.emit(computation, "parameter", free=True)
        made = []
        for number, value in enumerate(outer):
            parameter = self.define(time, self.values[value].size, 0.0, index=(number,))
            self.alias(value, parameter)
            made.append(parameter)
        return made

    def _leaf_reading(self, computation: int, visible: list[int]) -> None:
        aliasing = self.recipe.aliasing
        self.recipe = replace(self.recipe, aliasing=0.0)
        self._leaf(computation, visible)
        self.recipe = replace(self.recipe, aliasing=aliasing)

    def _pass_and_return(self, caller: int, passed: list[int], visible: list[int]) -> None:
        for number, value in enumerate(passed):
            self.use(value, caller, number, 0.0, None)
            made = self.define(caller, self.values[value].size, 0.0, index=(number,))
            self.alias(value, made)
            visible.remove(value)
            visible.append(made)

    def _size(self) -> int:
        return self.rng.choice([256, 512, 1000, 1024, 2048, 3000, 4096, 8192])


def _target(fast_bytes: int) -> Target:
    rates = (HBM_BANDWIDTH, 20 * HBM_BANDWIDTH, 10 * HBM_BANDWIDTH)
    return Target("toy", 1, fast_bytes, ALIGNMENT, *rates, 1e-9, 2**34)
