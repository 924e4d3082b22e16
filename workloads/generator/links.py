"""Random least times by links between chips, for problems that have none."""

from __future__ import annotations

import random
from dataclasses import replace

from mallocgame.problem.costs.elapsed import m_elapsed
from mallocgame.problem.schema import Instruction, Problem


def with_links(problem: Problem, seed: int) -> Problem:
    """The problem where one instruction in three that takes time is a collective, which takes some least time.

    Args:
        problem: any.
        seed: of what is drawn: from next to nothing to twice what the instruction takes with everything in HBM.
    """
    rng = random.Random(seed)

    def drawn(step: Instruction) -> Instruction:
        if step.free or rng.random() > 1 / 3:
            return step
        all_hbm = m_elapsed(problem.target, step.compute_seconds, step.total_bytes)
        return replace(step, cycles=None, link_seconds=all_hbm * rng.uniform(0.01, 2.0))

    return replace(problem, instructions=tuple(map(drawn, problem.instructions)))
