"""What a final HLO text says about cycles."""

from __future__ import annotations

from mallocgame.calibration.sites import sites_of
from mallocgame.calibration.table import CycleTable
from mallocgame.problem.schema import Problem
from mallocgame.replay.final_replay import cycles_of
from mallocgame.replay.final_text import FinalText
from xla_dump_parser import hlo, parse_hlo


def masks_of(problem: Problem, final: hlo.HloModule | str) -> tuple[list[int], list[int | None]]:
    """For each time the placement mask and the emitter's cycles of a final text.

    Cycles are None where the emitter has none, and where the text no longer has the instruction.

    Raises:
        BadInputError: the text is not scheduled, does not hold together, or is of another program.
    """
    text = FinalText(problem, parse_hlo(final, "final") if isinstance(final, str) else final)
    masks = [0] * len(problem.instructions)
    cycles: list[int | None] = [None] * len(problem.instructions)
    for time, instruction in enumerate(problem.instructions):
        step = text.step(instruction.name)
        if step is None:
            continue
        cycles[time] = cycles_of(step)
        for bit, (tensor, use) in enumerate(sites_of(problem, time)):
            if use < 0:
                fast = text.is_fast(step.name, problem.tensors[tensor].index)
            else:
                fast = text.reads_fast(step, problem.tensors[tensor].uses[use].operands) == 1.0
            masks[time] |= fast << bit
    return masks, cycles


def observe_final(problem: Problem, final: hlo.HloModule | str, table: CycleTable) -> None:
    """Add a final text to the table.

    Raises:
        BadInputError: as ``masks_of``.
    """
    table.observe(*masks_of(problem, final))
