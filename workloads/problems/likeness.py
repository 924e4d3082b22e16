"""How much two scheduled programs have in common, whatever their names and targets."""

from __future__ import annotations

from collections import Counter

from mallocgame.problem.schema import Problem

LENGTH = 3
"""Instructions of a run."""

LIMIT = 0.3
"""Programs of different splits may be less alike than this."""

Runs = Counter[tuple[tuple[str, float], ...]]


def runs(problem: Problem) -> Runs:
    """Each run of ``LENGTH`` successive instructions that access memory: their opcodes and bytes."""
    steps = [(step.opcode, step.total_bytes) for step in problem.instructions if step.total_bytes and not step.free]
    return Counter(tuple(steps[start : start + LENGTH]) for start in range(len(steps) - LENGTH + 1))


def likeness(one: Runs, other: Runs) -> float:
    """Share of the runs of the shorter program that the other one has too; 0 where one has none."""
    shorter = min(one.total(), other.total())
    return (one & other).total() / shorter if shorter else 0.0
