"""What kernels and collectives of which nothing is known (``Problem.uncounted``) have in fast memory.

No model tells what that does.
"""

from __future__ import annotations

from collections.abc import Collection

from mallocgame.models.replay.read_back import read_back
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from xla_dump_parser import hlo


def uncounted_of_plan(problem: Problem, plan: Plan) -> tuple[str, ...]:
    """By a plan: their operands, as ``"KERNEL operand N"``, and results in fast memory."""
    return _in_fast(problem, plan.fast_definitions, plan.fast_uses)


def uncounted_of_final(problem: Problem, final: hlo.HloModule) -> tuple[str, ...]:
    """By what the compiler made, likewise.

    Raises:
        BadInputError: the text is not scheduled, or of another program.
    """
    if not problem.uncounted:
        return ()
    found = read_back(problem, final, None)
    return _in_fast(problem, found.fast_definitions, found.fast_uses)


def _in_fast(problem: Problem, definitions: Collection[int], uses: Collection[tuple[int, int]]) -> tuple[str, ...]:
    found = []
    for time in problem.uncounted:
        name = problem.instructions[time].name
        for tensor, number in problem.uses_at[time]:
            if (tensor, number) in uses:
                operands = problem.tensors[tensor].uses[number].operands
                found += [f"{name} operand {operand}" for operand, _ in operands]
        found += [problem.tensors[tensor].name for tensor in problem.definitions_at[time] if tensor in definitions]
    return tuple(found)
