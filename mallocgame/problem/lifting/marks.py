"""What tells that memory space assignment has been over a text, and what in one cannot be taken back."""

from __future__ import annotations

from collections.abc import Iterable

from mallocgame.problem.schema import Target
from mallocgame.problem.targets import TARGETS
from mallocgame.system.errors import BadInputError
from xla_dump_parser import hlo
from xla_dump_parser.shapes import walk_shape


def mark_of_msa(computations: Iterable[hlo.Computation], fast: int) -> hlo.Instruction | None:
    """The first instruction of a schedule that shows that MSA has been over it: fast memory, or estimated cycles.

    What custom calls are given and give may be in fast memory before: their authors can ask for it.
    """
    for computation in computations:
        custom = {step.name for step in computation.instructions if step.opcode == "custom-call"}
        for step in computation.instructions:
            asked = step.name in custom or (step.opcode == "get-tuple-element" and step.operands[0] in custom)
            if not asked and fast and fast in _spaces(step):
                return step
            if '"estimated_cycles"' in step.attributes.get("backend_config", ""):
                return step
    return None


def check_liftable(module: hlo.HloModule, computations: Iterable[hlo.Computation], target: Target) -> None:
    """Refuse a text after MSA in which it cannot be told what MSA put into fast memory.

    Raises:
        BadInputError: it is of another chip, or asks for fast memory itself.
    """
    layout = module.header.get("entry_computation_layout", "")
    if f"S({target.fast_space})" in layout:
        raise BadInputError(
            f"{module.source}: its entry_computation_layout asks for fast memory, S({target.fast_space}): what the "
            "program asked for and what memory space assignment put there cannot be told apart"
        )
    others = {known.fast_space for known in TARGETS.values()} - {target.fast_space}
    for computation in computations:
        for step in computation.instructions:
            for space in others.intersection(_spaces(step)):
                raise BadInputError(
                    f"{module.source}:{step.line}: {step.name} is in S({space}), which {target.name} does not have: "
                    "the text is of another chip"
                )


def _spaces(step: hlo.Instruction) -> set[int]:
    return {array.layout.memory_space for _, array in walk_shape(step.shape) if array.layout}
