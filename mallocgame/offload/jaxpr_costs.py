"""A JAX program as a flat list of operations, and what each costs on a device that no compiler has been asked about.

Calls are inlined and scans unrolled, so that what an iteration saves meets the iteration that reads it.
Matrix products and convolutions take the larger of their arithmetic at peak rate and their bytes at the memory's; other
operations that no compiler fuses (reductions, gathers, sorts, ...) their bytes; what is fused takes nothing. One factor
for the whole program corrects this where a compiled program's time is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mallocgame.problem.chips import Link

_INLINED = frozenset({"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call"})
_BYTES_BOUND = frozenset(
    {"reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax", "argmin", "sort",
     "gather", "scatter", "scatter-add", "cumsum", "cumprod", "cumlogsumexp", "cummax", "reduce_window_sum",
     "reduce_window_max", "select_and_scatter_add", "top_k", "fft", "concatenate", "dynamic_update_slice"}
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Value:
    """An array of the program; equal only to itself.

    Attributes:
        size: bytes, without padding.
        whole: the array that it is a slice of; it has no memory of its own then.
        parts: of what a scan has stacked, each iteration's; they are its memory.
    """

    size: int
    whole: Value | None = None
    parts: tuple[Value, ...] = ()

    def stored(self) -> Iterator[Value]:
        """The values whose memory this is."""
        if self.whole is not None:
            yield from self.whole.stored()
        elif self.parts:
            for part in self.parts:
                yield from part.stored()
        else:
            yield self


@dataclass(frozen=True)
class Operation:
    """One operation of the flat list.

    Attributes:
        kind: JAX's primitive.
        reads, writes: in order.
        parameters: JAX's own.
        backward: whether it is the backward pass of a checkpointed block.
    """

    kind: str
    reads: tuple[Value, ...]
    writes: tuple[Value, ...]
    parameters: Any
    shapes: tuple[tuple[int, ...], ...]
    backward: bool

    @property
    def fused(self) -> bool:
        """Whether a compiler runs it within another operation."""
        return not (self.kind in ("dot_general", "conv_general_dilated") or self.kind in _BYTES_BOUND or self.inner)

    @property
    def inner(self) -> tuple[Any, ...]:
        """The jaxprs that it runs, where it is not inlined: loops, branches, checkpointed blocks."""
        if self.kind.startswith(("scatter", "reduce")) or self.kind == "sort":
            return ()
        return tuple(inner_jaxprs(self.parameters))


@dataclass(frozen=True)
class Program:
    """A jaxpr, calls inlined."""

    inputs: tuple[Value, ...]
    donated: tuple[bool, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[Value, ...]


def inner_jaxprs(parameters: Mapping[str, Any]) -> Iterator[Any]:
    """The jaxprs among the parameters of an equation."""
    for value in parameters.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                yield part


def size_of(aval: Any) -> int:
    """Bytes of an abstract array."""
    return int(math.prod(aval.shape)) * int(getattr(aval.dtype, "itemsize", 8))


def flatten(jaxpr: Any, donated: Sequence[bool] = ()) -> Program:
    """The program of a jaxpr.

    Args:
        jaxpr: open.
        donated: by input; empty for none.
    """
    values: dict[Any, Value] = {}
    inputs = tuple(_value(values, var) for var in jaxpr.invars)
    gone = tuple(donated) if len(donated) == len(inputs) else (False,) * len(inputs)
    operations = tuple(_operations(jaxpr, values))
    return Program(inputs, gone, operations, tuple(_value(values, var) for var in jaxpr.outvars))


def _value(values: dict[Any, Value], var: Any) -> Value:
    if hasattr(var, "val"):
        return Value(0)
    if var not in values:
        values[var] = Value(size_of(var.aval))
    return values[var]


def _operations(jaxpr: Any, values: dict[Any, Value]) -> Iterator[Operation]:
    for var in jaxpr.constvars:
        values.setdefault(var, Value(size_of(var.aval)))
    for eqn in jaxpr.eqns:
        kind = eqn.primitive.name
        called = eqn.params.get("jaxpr") or eqn.params.get("call_jaxpr") if kind in _INLINED else None
        if called is not None:
            body = getattr(called, "jaxpr", called)
            inside = dict(zip(body.invars, (_value(values, var) for var in eqn.invars), strict=True))
            yield from _operations(body, inside)
            values.update(zip(eqn.outvars, (_value(inside, var) for var in body.outvars), strict=True))
            continue
        if kind == "scan":
            yield from _unrolled(eqn, values)
            continue
        yield Operation(
            kind,
            tuple(_value(values, var) for var in eqn.invars),
            tuple(_value(values, var) for var in eqn.outvars),
            eqn.params,
            tuple(tuple(var.aval.shape) for var in (*eqn.invars, *eqn.outvars)),
            bool(eqn.params.get("differentiated", False)),
        )


def _unrolled(eqn: Any, values: dict[Any, Value]) -> Iterator[Operation]:
    """The iterations of a scan, one after the other.

    Its operands are constants, what is carried, and what is sliced, its results what is carried and what is stacked.
    Which is which is told by shapes, for JAX's parameters differ between versions: the body's have an axis less.
    """
    body, length = eqn.params["jaxpr"].jaxpr, int(eqn.params["length"])
    carried = sum(var.aval.shape == inner.aval.shape for var, inner in zip(eqn.outvars, body.outvars, strict=True))
    whole = sum(var.aval.shape == inner.aval.shape for var, inner in zip(eqn.invars, body.invars, strict=True))
    constants = whole - carried
    given = [_value(values, var) for var in eqn.invars]
    carry, sliced = given[constants : constants + carried], given[constants + carried :]
    slices = [
        value.parts or tuple(Value(value.size // max(1, length), value) for _ in range(length)) for value in sliced
    ]
    stacked: list[list[Value]] = [[Value(0)] * length for _ in eqn.outvars[carried:]]
    for place in range(length - 1, -1, -1) if eqn.params["reverse"] else range(length):
        arguments = [*given[:constants], *carry, *(parts[place] for parts in slices)]
        inside = dict(zip(body.invars, arguments, strict=True))
        yield from _operations(body, inside)
        results = [_value(inside, var) for var in body.outvars]
        carry = results[:carried]
        for parts, result in zip(stacked, results[carried:], strict=True):
            parts[place] = result
    values.update(zip(eqn.outvars[:carried], carry, strict=True))
    for var, parts in zip(eqn.outvars[carried:], stacked, strict=True):
        values[var] = Value(size_of(var.aval), None, tuple(parts))


def seconds_of(operation: Operation, link: Link) -> float:
    """How long an operation takes on a device."""
    moved = sum(value.size for value in (*operation.reads, *operation.writes))
    if operation.kind == "dot_general":
        ((contracted, _), _) = operation.parameters["dimension_numbers"]
        depth: int = math.prod(operation.shapes[0][axis] for axis in contracted)
        products: int = math.prod(operation.shapes[-1]) * depth
        return max(2.0 * products / link.flops, moved / link.bandwidth)
    if operation.kind == "conv_general_dilated":
        return max(_convolution_flops(operation) / link.flops, moved / link.bandwidth)
    if operation.inner:
        return sum(seconds_of(each, link) for jaxpr in operation.inner for each in flatten(jaxpr).operations)
    return moved / link.bandwidth if operation.kind in _BYTES_BOUND else 0.0


def _convolution_flops(operation: Operation) -> float:
    """Twice the products of a convolution: each kernel element meets each output (or, dilated, input) position."""
    numbers = operation.parameters["dimension_numbers"]
    image, kernel, out = (operation.shapes[place] for place in (0, 1, -1))
    window: int = math.prod(kernel[axis] for axis in numbers.rhs_spec[2:])
    here: int = math.prod(out[axis] for axis in numbers.out_spec[2:])
    dilated = math.prod(operation.parameters["lhs_dilation"])
    there: int = math.prod(image[axis] for axis in numbers.lhs_spec[2:])
    positions = there if dilated > 1 else here
    features: int = kernel[numbers.rhs_spec[0]] * kernel[numbers.rhs_spec[1]]
    products: int = positions * window * features * out[numbers.out_spec[0]]
    return 2.0 * products


def live_bytes(program: Program, excluded: frozenset[Value] = frozenset()) -> list[int]:
    """Bytes live at each operation: of inputs, and of what is not fused away; an inner jaxpr's own come on top.

    ``excluded`` values count nothing. An input that is not donated, and a result, live to the end.
    """
    count = len(program.operations)
    first = dict.fromkeys(_stored(program.inputs), 0)
    last: dict[Value, int] = {}
    results = set(_stored(program.outputs))
    kept = set(first) | results
    for place, operation in enumerate(program.operations):
        for value in _stored(operation.writes):
            first.setdefault(value, place)
            if not operation.fused:
                kept.add(value)
        for value in _stored(operation.reads):
            last[value] = place
            if not operation.fused and operation.kind != "dot_general":
                kept.add(value)
    for value, gone in zip(program.inputs, program.donated, strict=True):
        if not gone:
            last.update((part, count - 1) for part in _stored((value,)))
    last.update((value, count - 1) for value in results)
    changes = [0] * (count + 1)
    for value in kept - excluded:
        if value in first and value in last:
            changes[first[value]] += value.size
            changes[last[value] + 1] -= value.size
    held, found = 0, []
    for place, operation in enumerate(program.operations):
        held += changes[place]
        inner = 0
        for jaxpr in operation.inner:
            inside = flatten(jaxpr)
            outside = frozenset(_stored((*inside.inputs, *inside.outputs)))
            inner = max(inner, max(live_bytes(inside, outside), default=0))
        found.append(held + inner)
    return found


def _stored(values: Iterable[Value]) -> Iterator[Value]:
    for value in values:
        yield from value.stored()
