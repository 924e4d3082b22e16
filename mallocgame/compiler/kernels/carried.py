"""Integers that the trips of a loop hand on to each other, such as the indices of a pipeline's own grid."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from mallocgame.compiler.kernels.integers import UNKNOWN, Value, choose, evaluate, name_of

MAX_OPERATIONS = 1 << 18
"""Of a loop that is followed trip by trip, over all its trips."""


def follow(body: Any, given: Sequence[Any], trips: range, axes: int, values: dict[Hashable, Value]) -> None:
    """Set what a loop's body is given in each trip: its index and what the trips hand on, along one axis more.

    Args:
        body: the loop's block.
        given: what the first trip is given, after the index.
        trips: the index of each trip.
        axes: that there are without the loop's.
        values: what is known; the body's arguments are added.
    """
    now = [values.get(value, UNKNOWN) for value in given]
    seen: list[list[Value]] = [[] for _ in now]
    if len(trips) * _operations(body) <= MAX_OPERATIONS:
        for index in trips:
            if not any(value.known for value in now):
                break
            values[body.arguments[0]] = Value(np.array(index))
            for place, value in enumerate(now):
                values[body.arguments[1 + place]] = value
                seen[place].append(value)
            now = [values.get(value, UNKNOWN) for value in _integers(body, values)]
    values[body.arguments[0]] = Value(np.array(trips).reshape((len(trips),) + (1,) * axes))
    for place, each in enumerate(seen):
        whole = len(each) == len(trips) and all(value.known and value.at.ndim <= axes for value in each)
        values[body.arguments[1 + place]] = _along(each, axes) if whole else UNKNOWN


def _along(each: Sequence[Value], axes: int) -> Value:
    """One value for each trip, as one with another axis before the ``axes`` of each."""
    same = np.broadcast_arrays(*(value.at.reshape((1,) * (axes - value.at.ndim) + value.at.shape) for value in each))
    return Value(np.stack(same))


def _integers(block: Any, values: dict[Hashable, Value]) -> list[Any]:
    """Evaluate a block; what it yields."""
    yielded: list[Any] = []
    for it in block.operations:
        operation = it.operation
        name = name_of(operation)
        if name == "scf.yield":
            yielded = list(operation.operands)
        elif name == "scf.if":
            if list(operation.results):
                found = [_integers(region.blocks[0], values) for region in operation.regions]
                choose(operation, found, values)
        elif list(operation.regions):
            values.update(dict.fromkeys(operation.results, UNKNOWN))
        else:
            evaluate(operation, values)
    return yielded


def _operations(block: Any) -> int:
    """How many operations a block has, with those within them."""
    return sum(
        1 + sum(_operations(inner) for region in it.operation.regions for inner in region.blocks)
        for it in block.operations
    )
