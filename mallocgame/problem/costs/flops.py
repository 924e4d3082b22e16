"""Arithmetic of an instruction: floating-point operations and transcendentals (after OpenXLA hlo_cost_analysis.cc)."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from mallocgame.problem.costs.windows import WindowDimension, parse_window, valid_positions
from xla_dump_parser import hlo
from xla_dump_parser.shapes import walk_shape

MAX_DEPTH = 100

_TRANSCENDENTAL = frozenset(
    {"atan2", "cbrt", "cosine", "erf", "exponential", "exponential-minus-one", "log", "log-plus-one", "logistic",
     "power", "rsqrt", "sine", "sqrt", "tan", "tanh", "acos", "acosh", "asin", "asinh", "atanh", "cosh", "sinh"}
)  # fmt: skip
_ELEMENTWISE = frozenset(
    {"abs", "add", "and", "ceil", "clamp", "compare", "complex", "convert", "count-leading-zeros", "divide", "floor",
     "imag", "is-finite", "maximum", "minimum", "multiply", "negate", "not", "or", "popcnt", "real", "remainder",
     "round-nearest-afz", "round-nearest-even", "select", "shift-left", "shift-right-arithmetic",
     "shift-right-logical", "sign", "stochastic-convert", "subtract", "xor"}
)  # fmt: skip
_DIM_LABELS = re.compile(r"([a-z0-9?]+)_([a-z0-9?]+)->([a-z0-9?]+)")
_DIMENSIONS = re.compile(r"\d{1,6}")


class Work(NamedTuple):
    """Arithmetic: floating-point operations (converts and compares are such too) and transcendental functions.

    Attributes:
        flops: operations, those of matrix products included.
        transcendentals: functions.
        matrix: of the operations, those of matrix products and convolutions.
        padded: the same with input and output features filled up to whole lanes of the matrix unit, and with at least
            as many rows as hide the loading of weights.
    """

    flops: int
    transcendentals: int
    matrix: int = 0
    padded: int = 0

    def plus(self, other: Work) -> Work:
        """Both."""
        return Work(*(one + more for one, more in zip(self, other, strict=True)))

    def times(self, count: int) -> Work:
        """This, ``count`` times."""
        return Work(*(one * max(count, 0) for one in self))


_NONE = Work(0, 0)
_LANES = 128
_LEAST_ROWS = 176
"""Rows that a matrix unit works through in the time that it takes to load its weights (fitted on v6e)."""


class Arithmetic:
    """The work of the instructions of one module."""

    def __init__(self, module: hlo.HloModule) -> None:
        self._module = module
        self._totals: dict[str, Work] = {}

    def work(self, computation: hlo.Computation, instruction: hlo.Instruction, depth: int = 0) -> Work:
        """Of an instruction with all that it calls."""
        opcode = instruction.opcode
        elements = _elements(instruction.shape)
        if opcode in _TRANSCENDENTAL:
            return Work(0, elements)
        if opcode in _ELEMENTWISE:
            return Work(elements, 0)
        if opcode == "fusion" and instruction.called:
            return self._total(instruction.called[0], depth + 1)
        if opcode == "convolution":
            return _convolution(computation, instruction)
        if opcode == "dot":
            flops = _dot(computation, instruction)
            return Work(flops, 0, flops, flops)
        if opcode in ("reduce", "reduce-window", "map", "scatter", "select-and-scatter") and instruction.called:
            return self._total(instruction.called[-1], depth + 1).times(_applications(computation, instruction))
        if opcode == "custom-call" and instruction.attributes.get("custom_call_target") == '"TopK"':
            return Work(_top_k(computation, instruction), 0)
        if opcode == "sort":
            dims = _dims(computation.by_name[instruction.operands[0]].shape)
            count = math.prod(dims)
            return Work(count * max(1, count.bit_length() - 1), 0)
        return _NONE

    def _total(self, name: str, depth: int) -> Work:
        computation = self._module.computations.get(name)
        if computation is None or depth > MAX_DEPTH:
            return _NONE
        if name not in self._totals:
            total = _NONE
            for instruction in computation.instructions:
                total = total.plus(self.work(computation, instruction, depth))
            self._totals[name] = total
        return self._totals[name]


def _applications(computation: hlo.Computation, instruction: hlo.Instruction) -> int:
    """How often an instruction applies the computation that it calls."""
    opcode = instruction.opcode
    outputs = _elements(instruction.shape)
    if opcode == "map":
        return outputs
    first = _dims(computation.by_name[instruction.operands[0]].shape)
    if opcode == "reduce":
        shape = instruction.shape
        kept = _elements(shape.elements[0]) if isinstance(shape, hlo.TupleShape) and shape.elements else outputs
        return math.prod(first) - kept
    if opcode == "scatter":
        return _elements(computation.by_name[instruction.operands[-1]].shape)
    window = parse_window(instruction.attributes.get("window", ""))
    size = math.prod(dimension.size for dimension in window)
    if opcode == "reduce-window" and _covers(window, first):
        return 0
    if opcode == "select-and-scatter":
        return _elements(computation.by_name[instruction.operands[1]].shape) * size
    return outputs * (size - 1)


def _covers(window: tuple[WindowDimension, ...], dims: tuple[int, ...]) -> bool:
    """Whether every window holds the whole input in each dimension that it spans: the compiler counts no work there."""
    spans = [(dimension, size) for dimension, size in zip(window, dims, strict=False) if dimension.size > 1]
    return bool(spans) and all(
        dimension.pad_low >= size - 1 and dimension.pad_high >= size - 1 for dimension, size in spans
    )


def _convolution(computation: hlo.Computation, instruction: hlo.Instruction) -> Work:
    """2 x multiply-adds: output batch and features x input features x valid window positions."""
    labels: re.Match[str] | None = _DIM_LABELS.search(instruction.attributes.get("dim_labels", ""))
    if labels is None:
        return _NONE
    left, right = (_dims(computation.by_name[name].shape) for name in instruction.operands[:2])
    out = _dims(instruction.shape)
    if (len(left), len(right), len(out)) != (len(labels[1]), len(labels[2]), len(labels[3])):
        return _NONE
    left_of, right_of, out_of = (
        dict(zip(labels[n], dims, strict=True)) for n, dims in ((1, left), (2, right), (3, out))
    )
    inputs, outputs, rows = right_of.get("i", 1), out_of.get("f", 1), out_of.get("b", 1)
    total: int = 2 * inputs * outputs * out_of.get("b", 1)
    for number, dimension in enumerate(parse_window(instruction.attributes.get("window", ""))):
        label = str(number)
        total *= valid_positions(dimension, left_of.get(label, 1), out_of.get(label, 1))
        if left_of.get(label, 1) == 1:  # the kernel's dimension becomes the result's, as one more feature
            outputs *= out_of.get(label, 1)
        elif dimension.base_dilation == 1:  # else each place has weights of its own, as a batch dimension
            rows *= out_of.get(label, 1)
    groups = _DIMENSIONS.search(instruction.attributes.get("batch_group_count", ""))
    total = total // max(1, int(groups[0])) if groups else total
    fill = (-(-inputs // _LANES) * _LANES * -(-outputs // _LANES) * _LANES) / max(1, inputs * outputs)
    fill *= max(rows, _LEAST_ROWS) / max(rows, 1)
    return Work(total, 0, total, round(total * fill))


def _top_k(computation: hlo.Computation, instruction: hlo.Instruction) -> int:
    """One operation for each input and each place of the result."""
    shape = instruction.shape
    first = shape.elements[0] if isinstance(shape, hlo.TupleShape) and shape.elements else shape
    places = _dims(first)[-1:]
    inputs = _elements(computation.by_name[instruction.operands[0]].shape) if instruction.operands else 0
    return inputs * math.prod(places)


def _dot(computation: hlo.Computation, instruction: hlo.Instruction) -> int:
    dims = _dims(computation.by_name[instruction.operands[0]].shape)
    contracted = _DIMENSIONS.findall(instruction.attributes.get("lhs_contracting_dims", ""))
    depth = math.prod(dims[int(place)] for place in contracted if int(place) < len(dims))
    return 2 * _elements(instruction.shape) * depth


def _dims(shape: hlo.Shape) -> tuple[int, ...]:
    return shape.dims if isinstance(shape, hlo.ArrayShape) else ()


def _elements(shape: hlo.Shape) -> int:
    return sum(math.prod(array.dims) for _, array in walk_shape(shape))
