"""Random problems of controlled size, contention and aliasing, from a seed.

They have what real ones have: entry parameters and results, in-place updates, while loops with carried values,
conditionals, calls, values that may never be in fast memory, uses that no prefetch can serve.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from mallocgame.problem.schema import Computation, Group, Instruction, Problem, Target, Tensor, Use

HBM_BANDWIDTH = 1e9
ALIGNMENT = 256


@dataclass(frozen=True)
class Recipe:
    """What to make.

    Attributes:
        instructions: about how many leaf instructions.
        fast_bytes: size of fast memory; sizes of values are 256 to 8192 bytes, so this sets the contention.
        nesting: chance that a step is a while, conditional or call, at depth 0; a third at each further depth.
        aliasing: chance that an instruction updates an operand in place.
        awkward: chance that a value is fixed in HBM, and that a use is without prefetch.
        parameters: most entry parameters; these are what prefetches are for.
        invariants: most values that a loop reads without carrying them, and that a prefetch before it, or in its
            body, can serve.
        bitcasts: chance that a bitcast reads a value beside an instruction.
    """

    instructions: int = 20
    fast_bytes: int = 16384
    nesting: float = 0.15
    aliasing: float = 0.15
    awkward: float = 0.05
    parameters: int = 3
    invariants: int = 2
    bitcasts: float = 0.1


def random_problem(seed: int, recipe: Recipe | None = None) -> Problem:
    """The problem of this seed and recipe."""
    return _Writer(random.Random(seed), recipe or Recipe()).write()


def varied_recipe(seed: int, largest: int = 60) -> Recipe:
    """A recipe drawn by a seed: from tiny to ``largest`` instructions, from ample to scarce fast memory."""
    rng = random.Random(seed)
    return Recipe(
        instructions=rng.randint(2, largest),
        fast_bytes=rng.choice([2048, 5000, 8192, 16384, 65536]),
        nesting=rng.choice([0.0, 0.15, 0.3]),
        aliasing=rng.choice([0.0, 0.15, 0.4]),
        awkward=rng.choice([0.0, 0.05, 0.2]),
        parameters=rng.choice([3, 3, 12]),
    )


def tiny_recipe(seed: int) -> Recipe:
    """A recipe for problems that can be solved by enumeration."""
    rng = random.Random(seed)
    return Recipe(
        instructions=rng.randint(2, 7),
        fast_bytes=rng.choice([2048, 5000, 8192, 10000, 16384]),
        nesting=rng.choice([0.0, 0.15]),
        aliasing=rng.choice([0.0, 0.2]),
        awkward=0.03,
        parameters=rng.choice([2, 4, 6]),
        invariants=0,
        bitcasts=0.0,
    )


@dataclass
class _Value:
    time: int
    index: tuple[int, ...]
    size: int
    defined_bytes: float
    uses: dict[int, tuple[list[tuple[int, tuple[int, ...]]], float, int | None]] = field(default_factory=dict)
    live_to: int = 0
    fixed: str | None = None
    hbm_definition: str | None = None


class _Writer:
    def __init__(self, rng: random.Random, recipe: Recipe) -> None:
        self.rng, self.recipe = rng, recipe
        self.computations: list[Computation | None] = []
        self.instructions: list[Instruction] = []
        self.values: list[_Value] = []
        self.leader: list[int] = []
        self.budget = recipe.instructions
        self.invariant: set[int] = set()

    def write(self) -> Problem:
        entry = self._reserve_computation()
        start = len(self.instructions)
        visible: list[int] = []
        for _ in range(self.rng.randint(1, self.recipe.parameters)):
            time = self._emit(entry, "parameter", free=True)
            visible.append(self._define(time, self._size(), 0.0, hbm="entry parameter"))
        self._fill(entry, visible, 0)
        results = self.rng.sample(visible, min(len(visible), 2))
        root = self._emit(entry, "tuple", free=True)
        for number, value in enumerate(results):
            self._use(value, root, number, 0.0, None)
            for member in range(len(self.values)):
                if self._find(member) == self._find(value) and self.values[member].hbm_definition is None:
                    self.values[member].hbm_definition = "entry result" if member == value else None
        self.computations[entry] = Computation("entry", start, root, "entry", None, 1)
        return self._problem()

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
        time = self._emit(computation, "fusion", compute=compute, total=total)
        for number, value in enumerate(operands):
            after = self.values[value].time if self._same(value, computation) else None
            if value in self.invariant and after is None and self.rng.random() < 0.3:
                after = next(t for t, made in enumerate(self.instructions) if made.computation == computation)
            if self.rng.random() < self.recipe.awkward:
                after = None
            self._use(value, time, number, accessed[number], after)
            if self.rng.random() < self.recipe.bitcasts and value not in self.invariant:
                self._use(value, self._emit(computation, "bitcast", free=True), 0, 0.0, after)
        made = self._define(time, size, written)
        if updated is not None:
            self._alias(updated, made)
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
        condition, body = self._reserve_computation(), self._reserve_computation()
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
        caller = self._emit(computation, "while", free=True)
        for number, value in enumerate(passed):
            self._use(value, body_end, len(carried) + number, 0.0, None)
            after = self.values[value].time if self._same(value, computation) else None
            self._use(value, caller, len(carried) + number, 0.0, after)
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
            time = self._emit(body, "fusion", compute=size / HBM_BANDWIDTH * self.rng.random(), total=float(size))
            made = self._define(time, size, float(size))
            self._alias(value, made)
            results.append(made)
        self._leaf_reading(body, [value for value in inner if value not in parameters] or results)
        root = self._emit(body, "tuple", free=True)
        for number, value in enumerate(results):
            self._use(value, root, number, 0.0, None)

    def _conditional(self, computation: int, visible: list[int], depth: int) -> None:
        operand = self.rng.choice([value for value in visible if value not in self.invariant])
        size = self._size()
        spans = []
        results = []
        for _ in range(2):
            branch = self._reserve_computation()
            start = len(self.instructions)
            inner = self._parameters(branch, [operand])
            self._fill(branch, inner, depth + 1)
            time = self._emit(branch, "fusion", compute=size / HBM_BANDWIDTH * self.rng.random(), total=float(size))
            results.append(self._define(time, size, float(size)))
            spans.append((branch, start, time))
        caller = self._emit(computation, "conditional", free=True)
        for branch, start, end in spans:
            self.computations[branch] = Computation(f"c{branch}", start, end, "branch", caller, 1)
        self._use(operand, caller, 0, 0.0, None)
        made = self._define(caller, size, 0.0)
        for result in results:
            self.values[result].live_to = caller
            self._alias(result, made)
        visible.append(made)

    def _call(self, computation: int, visible: list[int], depth: int) -> None:
        callee = self._reserve_computation()
        start = len(self.instructions)
        inner: list[int] = []
        self._leaf(callee, inner)
        self._fill(callee, inner, depth + 1)
        self._leaf_reading(callee, inner)
        result = inner[-1]
        end = len(self.instructions) - 1
        caller = self._emit(computation, "call", free=True)
        self.computations[callee] = Computation(f"c{callee}", start, end, "call", caller, 1)
        made = self._define(caller, self.values[result].size, 0.0)
        self.values[result].live_to = caller
        self._alias(result, made)
        visible.append(made)

    def _parameters(self, computation: int, outer: list[int]) -> list[int]:
        time = self._emit(computation, "parameter", free=True)
        made = []
        for number, value in enumerate(outer):
            parameter = self._define(time, self.values[value].size, 0.0, index=(number,))
            self._alias(value, parameter)
            made.append(parameter)
        return made

    def _leaf_reading(self, computation: int, visible: list[int]) -> None:
        aliasing = self.recipe.aliasing
        self.recipe = replace(self.recipe, aliasing=0.0)
        self._leaf(computation, visible)
        self.recipe = replace(self.recipe, aliasing=aliasing)

    def _pass_and_return(self, caller: int, passed: list[int], visible: list[int]) -> None:
        for number, value in enumerate(passed):
            self._use(value, caller, number, 0.0, None)
            made = self._define(caller, self.values[value].size, 0.0, index=(number,))
            self._alias(value, made)
            visible.remove(value)
            visible.append(made)

    def _emit(self, computation: int, opcode: str, compute: float = 0.0, total: float = 0.0, free: bool = False) -> int:
        time = len(self.instructions)
        self.instructions.append(Instruction(f"{opcode}.{time}", opcode, computation, compute, total, free))
        return time

    def _define(self, time: int, size: int, written: float, index: tuple[int, ...] = (), hbm: str | None = None) -> int:
        self.values.append(_Value(time, index, size, written, live_to=time, hbm_definition=hbm))
        self.leader.append(len(self.values) - 1)
        return len(self.values) - 1

    def _use(self, value: int, time: int, operand: int, accessed: float, after: int | None) -> None:
        self.values[value].uses[time] = ([(operand, ())], accessed, after)
        self.values[value].live_to = max(self.values[value].live_to, time)

    def _size(self) -> int:
        return self.rng.choice([256, 512, 1000, 1024, 2048, 3000, 4096, 8192])

    def _same(self, value: int, computation: int) -> bool:
        return self.instructions[self.values[value].time].computation == computation

    def _reserve_computation(self) -> int:
        self.computations.append(None)
        return len(self.computations) - 1

    def _find(self, value: int) -> int:
        while self.leader[value] != value:
            value = self.leader[value]
        return value

    def _alias(self, one: int, other: int) -> None:
        self.leader[self._find(other)] = self._find(one)

    def _problem(self) -> Problem:
        members: dict[int, list[int]] = {}
        for value in range(len(self.values)):
            members.setdefault(self._find(value), []).append(value)
        ordered = sorted(members.values())
        group_of = {value: number for number, group in enumerate(ordered) for value in group}
        tensors = []
        for id, value in enumerate(self.values):
            uses = tuple(
                Use(time, tuple(operands), accessed, after)
                for time, (operands, accessed, after) in sorted(value.uses.items())
            )
            instruction = self.instructions[value.time].name
            live = (value.time, value.live_to)
            tensors.append(
                Tensor(
                    id,
                    instruction,
                    value.index,
                    value.size,
                    value.time,
                    live,
                    value.defined_bytes,
                    uses,
                    group_of[id],
                    value.fixed,
                    value.hbm_definition,
                )
            )
        groups = tuple(Group(tuple(group), max(tensors[id].size for id in group)) for group in ordered)
        target = Target(
            "toy",
            1,
            self.recipe.fast_bytes,
            ALIGNMENT,
            HBM_BANDWIDTH,
            20 * HBM_BANDWIDTH,
            10 * HBM_BANDWIDTH,
            1e-9,
            2**34,
        )
        computations = tuple(computation for computation in self.computations if computation is not None)
        return Problem(
            "random", "random", target, computations, tuple(self.instructions), tuple(tensors), groups, "analytic"
        )
