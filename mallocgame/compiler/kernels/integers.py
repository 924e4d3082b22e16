"""The integers that a kernel computes from its grid: conditions, trip counts and block indices, at all grid points.

A value is an array over the grid, with as many axes of length 1 as it does not depend on; loops of known length are
more axes before those of the grid. What depends on data is not known, but still tells where it may change: its array
has one number for each place that it is read from.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 1 << 22
"""Points of an array; of what has more, nothing is known."""

PREFIX = "stable_mosaic."
"""Before the names of operations in a serialized module."""


@dataclass(frozen=True, slots=True)
class Value:
    """An integer at all points.

    Attributes:
        at: the integer; where it is not known, one number for each place that it is read from.
        known: whether it is known.
    """

    at: NDArray[np.int64]
    known: bool = True


UNKNOWN = Value(np.array(-1), False)

_BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "arith.addi": np.add,
    "arith.subi": np.subtract,
    "arith.muli": np.multiply,
    "arith.maxsi": np.maximum,
    "arith.maxui": np.maximum,
    "arith.minsi": np.minimum,
    "arith.minui": np.minimum,
    "arith.andi": np.bitwise_and,
    "arith.ori": np.bitwise_or,
    "arith.xori": np.bitwise_xor,
    "arith.divsi": lambda one, other: np.trunc(_quotient(one, other)),
    "arith.divui": lambda one, other: np.trunc(_quotient(one, other)),
    "arith.floordivsi": lambda one, other: np.floor(_quotient(one, other)),
    "arith.ceildivsi": lambda one, other: np.ceil(_quotient(one, other)),
    "arith.remsi": lambda one, other: np.fmod(one, _divisor(other)),
    "arith.remui": lambda one, other: np.fmod(one, _divisor(other)),
}
_COMPARED: Mapping[int, Callable[[Any, Any], Any]] = {
    0: np.equal, 1: np.not_equal, 2: np.less, 3: np.less_equal, 4: np.greater, 5: np.greater_equal,
    6: np.less, 7: np.less_equal, 8: np.greater, 9: np.greater_equal,
}  # fmt: skip
"""By the number of the predicate of ``arith.cmpi`` (MLIR's arith dialect)."""

_SAME = frozenset({"arith.index_cast", "arith.index_castui", "arith.extsi", "arith.extui", "arith.trunci"})
_MIX = 1_000_003


def name_of(operation: Any) -> str:
    """An operation's name, as the dialects have it."""
    return str(operation.name).removeprefix(PREFIX)


def evaluate(operation: Any, values: dict[Hashable, Value]) -> None:
    """Add an operation's results to ``values``, which has those before it: integers alone."""
    name, results = name_of(operation), list(operation.results)
    if len(results) != 1 or _is_shaped(results[0].type):
        return
    found = [values.get(operand, UNKNOWN) for operand in operation.operands]
    made: Value | None = None
    if name == "arith.constant":
        made = _constant(operation.attributes["value"])
    elif name in _SAME:
        made = found[0]
    elif name in _BINARY:
        made = _apply(_BINARY[name], found)
    elif name == "arith.cmpi":
        made = _apply(_COMPARED[int(operation.attributes["predicate"].value)], found)
    elif name == "arith.select":
        made = _apply(np.where, found)
    elif name == "memref.load":
        made = Value(_mixed([value.at for value in found]), False)
    if made is not None:
        values[results[0]] = made


def choose(operation: Any, yielded: Sequence[Sequence[Any]], values: dict[Hashable, Value]) -> None:
    """Add the results of a choice between blocks, of which each has yielded these, to ``values``."""
    met = values.get(operation.operands[0], UNKNOWN)
    for place, result in enumerate(operation.results):
        each = [values.get(of[place], UNKNOWN) for of in yielded if place < len(of)]
        if len(each) != 2:
            values[result] = UNKNOWN
        elif met.known and (met.at.all() or not met.at.any()):
            values[result] = each[0 if met.at.all() else 1]
        else:
            values[result] = _apply(np.where, [met, *each])


def grid_values(bounds: Sequence[int]) -> list[Value]:
    """The grid's own indices."""
    shapes = np.eye(len(bounds), dtype=int) * (np.array(bounds, dtype=int) - 1) + 1
    return [Value(np.arange(bound).reshape(shape)) for bound, shape in zip(bounds, shapes, strict=True)]


def blocks(indices: Sequence[Value], bounds: Sequence[int]) -> tuple[int, int]:
    """How many blocks a window holds over the whole grid: distinct ones, and how often it takes another one."""
    whole = np.broadcast_to(_mixed([index.at for index in indices] or [0]), tuple(bounds)).reshape(-1)
    return len(np.unique(whole)), 1 + int(np.count_nonzero(whole[1:] != whole[:-1]))


def _constant(attribute: Any) -> Value | None:
    value = getattr(attribute, "value", None)
    if not isinstance(value, int):
        return None
    return Value(np.array(int(value) & 1 if str(attribute.type) == "i1" else int(value)))


def _apply(function: Callable[..., Any], given: Sequence[Value]) -> Value:
    try:
        points = np.prod(np.broadcast_shapes(*(value.at.shape for value in given)))
    except ValueError:
        return UNKNOWN
    if points > MAX_POINTS:
        return UNKNOWN
    if not all(value.known for value in given):
        return Value(_mixed([value.at for value in given]), False)
    return Value(np.asarray(function(*(value.at for value in given))).astype(np.int64))


def _mixed(parts: Sequence[Any]) -> NDArray[np.int64]:
    """One number for each combination of these numbers."""
    with np.errstate(over="ignore"):
        total: NDArray[np.int64] = np.zeros((), np.int64)
        for part in parts:
            total = total * np.int64(_MIX) + np.asarray(part, np.int64)
        return total


def _quotient(one: Any, other: Any) -> Any:
    return np.asarray(one, float) / _divisor(other)


def _divisor(other: Any) -> Any:
    return np.where(np.asarray(other) == 0, 1, other)


def _is_shaped(kind: Any) -> bool:
    return str(kind).startswith(("vector", "memref", "tensor"))
