"""How much an alias group may save by being in fast memory: a weight for random draws and for orders."""

from __future__ import annotations

from mallocgame.game.program import Program

RELIEF_SHARE = 0.1
"""How much idle HBM time counts beside time saved."""


def possible_saving(program: Program, group: int) -> float:
    """Seconds that a group can save itself, and a share of the HBM time that it leaves to copies."""
    target = program.problem.target
    saved = 0.0
    for id in program.problem.groups[group].tensors:
        value = program.problem.tensors[id]
        sites = [(value.time, value.defined_bytes), *((use.time, use.accessed_bytes) for use in value.uses)]
        for time, site_bytes in sites:
            instruction = program.problem.instructions[time]
            if not instruction.free:
                relief = site_bytes / target.hbm_bandwidth
                spare = instruction.total_bytes / target.hbm_bandwidth - instruction.least_seconds
                saving = max(RELIEF_SHARE * relief, min(spare, relief))
                saved += saving * program.problem.runs[program.computation[time]]
    return saved
