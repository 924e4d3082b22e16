"""Arithmetic and copies of a kernel's body, over its whole grid.

As JAX's ``pl.estimate_cost`` counts: 2 operations for each multiply-add of a matrix product, one for each element of
elementwise arithmetic, nothing for converts, comparisons and choices; transcendental functions by themselves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mallocgame.compiler.kernels.carried import follow
from mallocgame.compiler.kernels.integers import MAX_POINTS, UNKNOWN, Value, choose, evaluate, name_of

MAX_TRIPS = 4096
"""Of a loop whose index is followed."""

CONDITION = "a condition on data is taken as met"
LOOP = "a loop of unknown length runs once"
READING = "a loop of unknown length runs until it has copied each operand once"
DYNAMIC_COPY = "a copy of unknown size is left out"

_ARITHMETIC = frozenset(
    {"addf", "subf", "mulf", "divf", "maximumf", "minimumf", "maxnumf", "minnumf", "negf", "addi", "subi", "muli",
     "divsi", "divui", "maxsi", "maxui", "minsi", "minui", "andi", "ori", "xori"}
)  # fmt: skip
"""Of the dialect arith."""

_NO_FUNCTIONS = frozenset({"absf", "absi", "ceil", "floor", "round", "roundeven", "trunc", "fma", "copysign"})
"""Of the dialect math, all others are transcendental functions."""

_MATRIX = frozenset({"tpu.matmul", "vector.contract"})
_REDUCTIONS = frozenset({"vector.multi_reduction", "vector.reduction", "tpu.all_reduce", "tpu.reduce_index"})
_CONTRACTED = re.compile(r"dot_dimension_numbers<\[([\d, ]*)\]")
_VIEWS = ("tpu.memref_", "memref.", "tpu.reinterpret_cast")
"""Beginnings of the names of operations whose first operand is the memory that they give another view of."""


@dataclass
class Tally:
    """What was counted.

    Attributes:
        flops: operations.
        transcendentals: functions.
        moved: elements that copies take from, or give to, each argument of the kernel.
        guesses: what was not known, in order, once each.
    """

    flops: float = 0.0
    transcendentals: float = 0.0
    moved: dict[int, float] = field(default_factory=dict)
    guesses: dict[str, None] = field(default_factory=dict)

    def add(self, other: Tally, times: float = 1.0) -> None:
        """Another one, this many times."""
        self.flops += times * other.flops
        self.transcendentals += times * other.transcendentals
        for argument, count in other.moved.items():
            self.moved[argument] = self.moved.get(argument, 0.0) + times * count
        self.guesses.update(other.guesses)

    def guess(self, what: str) -> None:
        """Something was not known."""
        self.guesses.setdefault(what)


class Walk:
    """One walk over a body.

    Attributes:
        points: of the grid.
        arguments: number of each memory among the kernel's arguments.
        sizes: elements of each argument that has no window.
    """

    def __init__(
        self, points: int, values: dict[Hashable, Value], arguments: Mapping[Hashable, int], sizes: Mapping[int, int]
    ) -> None:
        self.points, self.arguments, self.sizes = points, arguments, sizes
        self._values = values
        self._source: dict[Hashable, int] = dict(arguments)
        self._ends: set[Hashable] = set()

    def block(self, block: Any, runs: NDArray[np.bool_], times: float, axes: int) -> Tally:
        """Count a block.

        Args:
            block: of operations.
            runs: at which points it runs, as ``Value.at``.
            times: how often at each, on average over loops that are no axis.
            axes: of the grid, and of the loops around that are axes.
        """
        tally = Tally()
        for operation in block.operations:
            self._operation(operation.operation, runs, times, axes, tally)
        return tally

    def _operation(self, operation: Any, runs: NDArray[np.bool_], times: float, axes: int, tally: Tally) -> None:
        name = name_of(operation)
        if name == "scf.if":
            self._branches(operation, runs, times, axes, tally)
            choose(operation, [_yielded(region.blocks[0]) for region in operation.regions], self._values)
        elif name in ("scf.for", "scf.while"):
            self._loop(operation, name, runs, times, axes, tally)
        elif list(operation.regions):
            for region in operation.regions:
                for block in region.blocks:
                    tally.add(self.block(block, runs, times, axes))
        else:
            evaluate(operation, self._values)
            if name.startswith(_VIEWS) and operation.operands and operation.operands[0] in self._source:
                for result in operation.results:
                    self._source[result] = self._source[operation.operands[0]]
            count = self.points * float(runs.mean()) * times
            if name == "tpu.enqueue_dma":
                self._copy(operation, count, tally)
            else:
                flops, functions = _arithmetic(operation, name)
                tally.flops += count * flops
                tally.transcendentals += count * functions

    def _branches(self, operation: Any, runs: NDArray[np.bool_], times: float, axes: int, tally: Tally) -> None:
        met = self._values.get(operation.operands[0], UNKNOWN)
        blocks = [region.blocks[0] for region in operation.regions if len(region.blocks)]
        if met.known and _points(runs, met.at) <= MAX_POINTS:
            for block, taken in zip(blocks, (met.at != 0, met.at == 0), strict=False):
                inside = runs & taken
                if inside.any():
                    tally.add(self.block(block, inside, times, axes))
            return
        found = [self.block(block, runs, times, axes) for block in blocks]
        most = max(found, key=lambda one: (one.flops, sum(one.moved.values()), one.transcendentals))
        if most.flops or most.moved or most.transcendentals:
            tally.guess(CONDITION)
        tally.add(most)

    def _loop(self, operation: Any, name: str, runs: NDArray[np.bool_], times: float, axes: int, tally: Tally) -> None:
        body = operation.regions[len(operation.regions) - 1].blocks[0]
        trips = self._trips(operation) if name == "scf.for" else None
        if trips is None:
            bounds = list(operation.operands)[:2]
            if name == "scf.for" and bounds[0] in self._ends:
                return  # JAX splits such a loop: what is left over of an unrolled one
            self._ends.update(bounds[1:])
            inside = self.block(body, runs, times, axes)
            tally.add(inside, self._repeats(inside, tally))
            return
        first, count, step = trips
        if 0 < count <= MAX_TRIPS and _points(runs) * count <= MAX_POINTS:
            trip = range(first, first + count * step, step)
            follow(body, list(operation.operands)[3:], trip, axes, self._values)
            tally.add(self.block(body, runs, times * count, axes + 1))
        elif count > 0:
            tally.add(self.block(body, runs, times * count, axes))

    def _trips(self, operation: Any) -> tuple[int, int, int] | None:
        """First index, trips and step of a loop, where they are constants."""
        bounds = [self._values.get(operand, UNKNOWN) for operand in list(operation.operands)[:3]]
        if not all(bound.known and bound.at.size == 1 for bound in bounds):
            return None
        first, last, step = (int(bound.at.reshape(-1)[0]) for bound in bounds)
        return (first, max(0, math.ceil((last - first) / step)), step) if step > 0 else None

    def _repeats(self, inside: Tally, tally: Tally) -> float:
        """How often a loop of unknown length is taken to run."""
        whole = [self.sizes[it] / count for it, count in inside.moved.items() if count and it in self.sizes]
        if whole:
            tally.guess(READING)
            return max(1.0, max(whole))
        if inside.flops or inside.transcendentals:
            tally.guess(LOOP)
        return 1.0

    def _copy(self, operation: Any, count: float, tally: Tally) -> None:
        for memory in operation.operands:
            if memory not in self._source:
                continue
            elements = elements_of(memory.type)
            if elements is None:
                tally.guess(DYNAMIC_COPY)
                continue
            argument = self._source[memory]
            tally.moved[argument] = tally.moved.get(argument, 0.0) + count * elements


def elements_of(kind: Any) -> int | None:
    """Elements of a vector's or a memory's type; None where a dimension is not constant; 0 of anything else."""
    shape = shape_of(kind)
    if shape is None:
        return 0
    return None if any(size < 0 for size in shape) else math.prod(shape)


def shape_of(kind: Any) -> tuple[int, ...] | None:
    """The shape of a vector's or a memory's type; a size below 0 is not constant."""
    found = re.match(r"(?:vector|memref|tensor)<((?:[\d?]+x)*)", str(kind))
    if found is None:
        return None
    return tuple(-1 if size == "?" else int(size) for size in found[1].split("x")[:-1])


def _arithmetic(operation: Any, name: str) -> tuple[int, int]:
    """(operations, transcendental functions) of one run."""
    dialect, _, what = name.partition(".")
    results = list(operation.results)
    elements = (elements_of(results[0].type) or 0) if results else 0
    if name in _MATRIX:
        return 2 * elements * _contracted(operation), 0
    if name in _REDUCTIONS:
        return max(0, (elements_of(operation.operands[0].type) or 0) - elements), 0
    if dialect == "arith" and what in _ARITHMETIC:
        return elements, 0
    if dialect == "math":
        return (elements, 0) if what in _NO_FUNCTIONS else (0, elements)
    return (elements, 0) if name == "tpu.reciprocal" else (0, 0)


def _contracted(operation: Any) -> int:
    """Elements that a matrix product adds up for each of its result."""
    left = shape_of(operation.operands[0].type) or (1,)
    attributes = operation.attributes
    numbers = _CONTRACTED.search(str(attributes["dimension_numbers"])) if "dimension_numbers" in attributes else None
    if numbers is None:
        transposed = "transpose_lhs" in attributes and str(attributes["transpose_lhs"]) == "true"
        return left[0 if transposed else -1]
    return math.prod(left[int(place)] for place in numbers[1].split(",") if place.strip())


def _yielded(block: Any) -> list[Any]:
    """What a block hands on at its end."""
    operations = list(block.operations)
    return list(operations[-1].operation.operands) if operations else []


def _points(*arrays: NDArray[Any]) -> int:
    return math.prod(np.broadcast_shapes(*(array.shape for array in arrays)))
