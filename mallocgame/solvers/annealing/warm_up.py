"""Compiles the native code before a clock runs: once an installation, numba keeps it."""

from __future__ import annotations

from time import monotonic

from mallocgame import packing
from mallocgame.problem.schema import Computation, Group, Instruction, Problem, Target, Tensor
from mallocgame.solvers.annealing.search import Search


def compile_native() -> float:
    """Compile, or load, what `Search` and the packer need; returns the seconds that took."""
    start = monotonic()
    packing.compile_native()
    search = Search(_smallest())
    search.greedy([0])
    search.set(search.best)
    search.start_cycle(1.0, 1.0)
    search.anneal(1)
    search.shrink(0, search.best.copy())
    return monotonic() - start


def _smallest() -> Problem:
    """One tensor that nothing reads."""
    return Problem(
        fingerprint="",
        module="",
        target=Target("", 1, 2, 1, 1.0, 1.0, 1.0, 1.0, 1),
        computations=(Computation("entry", 0, 0, "entry", None, 1),),
        instructions=(Instruction("instruction", "add", 0, 1.0, 1.0, False),),
        tensors=(Tensor(0, "instruction", (), 1, 0, (0, 0), 1.0, (), 0),),
        groups=(Group((0,), 1),),
        costs="analytic",
    )
