"""Which instructions multiply matrices: only these overlap their transfers with computing."""

from __future__ import annotations

from mallocgame.problem.schema import Problem
from xla_dump_parser import hlo

OPCODES = frozenset({"convolution", "dot"})


def products_of(problem: Problem, module: hlo.HloModule) -> frozenset[int]:
    """Times of the problem's instructions that are, or fuse, a convolution or a dot.

    Args:
        problem: whose times.
        module: the text of the same program, before or after memory space assignment, with its fused computations.
    """
    times = {instruction.name: time for time, instruction in enumerate(problem.instructions)}
    multiplying: dict[str, bool] = {}

    def multiplies(instruction: hlo.Instruction) -> bool:
        return instruction.opcode in OPCODES or (
            instruction.opcode == "fusion" and any(any_in(name) for name in instruction.called)
        )

    def any_in(name: str) -> bool:
        if name not in multiplying:
            multiplying[name] = False
            body = module.computations.get(name)
            multiplying[name] = body is not None and any(map(multiplies, body.instructions))
        return multiplying[name]

    return frozenset(
        times[instruction.name]
        for computation in module.computations.values()
        for instruction in computation.instructions
        if instruction.name in times and multiplies(instruction)
    )
