"""A kernel's cost from its module: its grid, block maps, arithmetic and copies. Needs JAX."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from mallocgame.compiler.kernels.integers import (
    MAX_POINTS,
    UNKNOWN,
    Value,
    blocks,
    evaluate,
    grid_values,
    name_of,
)
from mallocgame.compiler.kernels.tally import Walk, elements_of, shape_of
from mallocgame.problem.costs.kernels import Access, KernelCost

GRID = "a grid of unknown size runs over all that its scalar operands hold, or once"
_OF_MAIN = frozenset({"iteration_bounds", "window_params", "scratch_operands", "dimension_semantics"})
"""Attributes that a kernel's main function has, and those of its block maps have not."""

LARGE = "a grid of too many points to follow: each block is another one, each condition met"
WHOLE = "an operand without a block map counts whole"


def read_kernel(body: bytes) -> KernelCost:
    """What one run of a kernel takes.

    Args:
        body: its module, as MLIR bytecode or text.

    Raises:
        ValueError: it has no grid that could be read; so do JAX's own errors.
    """
    from jax.interpreters import mlir
    from jaxlib.mosaic.python import tpu

    context = mlir.make_ir_context()
    tpu.register_dialect(context)
    context.allow_unregistered_dialects = True
    context.load_all_available_dialects()
    with context, mlir.ir.Location.unknown():
        module = mlir.ir.Module.parse(body)
        functions = {
            _text(it.operation.attributes["sym_name"]): it.operation
            for it in module.body.operations
            if name_of(it.operation) == "func.func"
        }
        return _Kernel(functions).cost()


class _Kernel:
    """The functions of one module."""

    def __init__(self, functions: Mapping[str, Any]) -> None:
        main = [it for it in functions.values() if any(name in it.attributes for name in _OF_MAIN)]
        if len(main) != 1:
            raise ValueError("not one function with a grid or scratch memory")
        self.functions = functions
        self.attributes = main[0].attributes
        self.body = main[0].regions[0].blocks[0]
        self.scalars, self.scratch = (
            int(self.attributes[name].value) if name in self.attributes else 0
            for name in ("scalar_prefetch", "scratch_operands")
        )
        given = list(self.attributes["iteration_bounds"]) if "iteration_bounds" in self.attributes else []
        self.guesses: dict[str, None] = {}
        self.dynamic = [place for place, bound in enumerate(given) if bound < 0]
        self.bounds = [self._bound(place) if bound < 0 else int(bound) for place, bound in enumerate(given)]

    def cost(self) -> KernelCost:
        first = len(self.bounds) + self.scalars
        arguments = list(self.body.arguments)
        count = len(arguments) - first - self.scratch
        windows = list(self.attributes["window_params"]) if "window_params" in self.attributes else [{}] * count
        large = math.prod(self.bounds) > MAX_POINTS
        values = self._grid(self.body, large)
        plain = {place: elements_of(arguments[first + place].type) or 0 for place in range(len(windows))}
        sizes = {place: plain[place] for place, window in enumerate(windows) if not _is_window(window)}
        walk = Walk(math.prod(self.bounds), values, {arguments[first + place]: place for place in sizes}, sizes)
        axes = len(self.bounds)
        tally = walk.block(self.body, np.ones((1,) * axes, dtype=bool), 1.0, axes)
        accesses = [
            self._window(window, large)
            if _is_window(window)
            else self._plain(arguments[first + place], sizes[place], tally.moved.get(place))
            for place, window in enumerate(windows)
        ]
        return KernelCost(
            flops=round(tally.flops),
            transcendentals=round(tally.transcendentals),
            bounds=len(self.dynamic),
            accesses=(*(Access(None, None) for _ in range(self.scalars)), *accesses),
            guesses=(*self.guesses, *tally.guesses),
        )

    def _bound(self, place: int) -> int:
        """A bound of the grid that is not constant: as long as the scalar operands that its index is a place of."""
        self.guesses.setdefault(GRID)
        found = []
        for function in self.functions.values():
            block = function.regions[0].blocks[0]
            same: set[Hashable] = {block.arguments[place]}
            for operation in block.operations:
                it = operation.operation
                if name_of(it) == "arith.index_cast" and it.operands[0] in same:
                    same.add(it.results[0])
                if name_of(it) == "memref.load":
                    shape = shape_of(it.operands[0].type) or ()
                    found += [size for size, index in zip(shape, list(it.operands)[1:], strict=False) if index in same]
        return max(1, min(found, default=1))

    def _grid(self, block: Any, large: bool) -> dict[Hashable, Value]:
        """What is known of a function's arguments: the grid's indices, and which memory is which."""
        values: dict[Hashable, Value] = {}
        if large:
            self.guesses.setdefault(LARGE)
        else:
            values.update(zip(block.arguments, grid_values(self.bounds), strict=False))
        for number, argument in enumerate(list(block.arguments)[len(self.bounds) :]):
            values[argument] = Value(np.array(number), False)
        return values

    def _window(self, window: Any, large: bool) -> Access:
        """The blocks that a window holds, by its index map at all points of the grid."""
        size = math.prod(list(window["window_bounds"]))
        if large:
            return Access(None, size * math.prod(self.bounds))
        block = self.functions[_text(window["transform_indices"])].regions[0].blocks[0]
        values = self._grid(block, large)
        indices: list[Value] = []
        for operation in block.operations:
            it = operation.operation
            if name_of(it) in ("func.return", "return"):
                indices = [values.get(operand, UNKNOWN) for operand in it.operands]
            evaluate(it, values)
        distinct, taken = blocks(indices, self.bounds)
        return Access(distinct * size, taken * size)

    def _plain(self, argument: Any, size: int, moved: float | None) -> Access:
        """An argument without a block map: copied whole to a fast memory, or what the kernel's own copies take."""
        if not any(space in str(argument.type) for space in ("<any>", "<hbm>")):
            return Access(None, None)
        if moved is not None:
            return Access(min(size, round(moved)) if size else round(moved), round(moved))
        if not list(argument.uses):
            return Access(0, 0)
        self.guesses.setdefault(WHOLE)
        return Access(None, None)


def _is_window(window: Any) -> bool:
    return "window_bounds" in window and "transform_indices" in window


def _text(attribute: Any) -> str:
    return str(attribute.value)
