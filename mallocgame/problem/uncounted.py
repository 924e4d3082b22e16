"""The kernels of a problem of which nothing is known, and what is to be told of them and of all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from mallocgame.problem.costs.elapsed import m_elapsed
from mallocgame.problem.schema import Problem

NOT_COUNTED = "not counted: "
"""Begins the note of what is not counted."""

READ = "read from kernels: "
"""Begins the note of kernels whose costs were read from themselves."""

SHOWN = 3
"""Names in a note."""


class NotCounted(NamedTuple):
    """Instructions that take next to no time in both models, whatever they take.

    Attributes:
        names: of the instructions, in program order.
        share: of the bytes of all instructions, all runs together, those of their operands and results.
    """

    names: tuple[str, ...]
    share: float


def not_counted(problem: Problem) -> NotCounted:
    """The kernels of which nothing is known."""
    times = set(problem.uncounted)
    counted = uncounted = 0.0
    for time, step in enumerate(problem.instructions):
        if time in times:
            uncounted += problem.runs[step.computation] * bytes_at(problem, time)
        elif not step.free:
            counted += problem.runs[step.computation] * step.total_bytes
    whole = counted + uncounted
    names = tuple(problem.instructions[time].name for time in problem.uncounted)
    return NotCounted(names, uncounted / whole if whole else 0.0)


def bytes_at(problem: Problem, time: int) -> float:
    """Bytes of what an instruction reads and writes, whatever is said of it in all."""
    read = sum(problem.tensors[tensor].uses[use].accessed_bytes for tensor, use in problem.uses_at[time])
    return read + sum(problem.tensors[tensor].defined_bytes for tensor in problem.definitions_at[time])


def uncounted_note(problem: Problem) -> tuple[str, ...]:
    """What is told of them wherever figures are; nothing where there are none."""
    found = not_counted(problem)
    if not found.names:
        return ()
    more = f" and {len(found.names) - SHOWN} more" if len(found.names) > SHOWN else ""
    return (
        f"{NOT_COUNTED}kernels of which nothing is known, {len(found.names)} "
        f"({100 * found.share:.3g} % of the bytes): {', '.join(found.names[:SHOWN])}{more}",
    )


def read_note(problem: Problem, guesses: Iterable[str]) -> tuple[str, ...]:
    """What is told where kernels were read: how much of M rests on that, and what was guessed.

    Args:
        problem: that has them.
        guesses: of all of them, each for itself.
    """
    times = [time for time, source in problem.kernels if source == "kernel"]
    if not times:
        return ()
    runs, target = problem.runs, problem.target
    steps = [problem.instructions[time] for time in times]
    seconds = sum(runs[it.computation] * m_elapsed(target, it.compute_seconds, it.total_bytes) for it in steps)
    said = "; ".join(f"{what} ({count})" for what, count in Counter(guesses).items())
    guessed = f"; guesses: {said}" if said else ""
    return (f"{READ}costs of {len(times)}, {1e6 * seconds:.4g} us of M in HBM{guessed}",)
