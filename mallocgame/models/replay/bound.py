"""A time that no plan can beat: game.md's relaxed bound."""

from __future__ import annotations

from math import fsum

from mallocgame.models.replay.plan_replay import calls_at, make_row
from mallocgame.models.replay.records import Model
from mallocgame.models.replay.walk import Event, Run, walk
from mallocgame.problem.schema import Problem, Tensor


def relaxed_bound(problem: Problem, model: Model) -> float:
    """Seconds with every operand and output in fast memory and no copies, but at least what must cross HBM once.

    Under M a lower bound for every plan. Under E the cycles are those of XLA's default placement, so it is an
    estimated bound only.
    """
    read = [0.0] * len(problem.instructions)
    written = [0.0] * len(problem.instructions)
    for tensor in problem.tensors:
        written[tensor.time] += tensor.defined_bytes
        for use in tensor.uses:
            read[use.time] += use.accessed_bytes
    events: dict[str, list[Event]] = {
        computation.name: [] for computation in sorted(problem.computations, key=lambda computation: computation.end)
    }
    for time, instruction in enumerate(problem.instructions):
        fast = make_row(problem, time, model, read[time], written[time], instruction.cycles)
        slow = make_row(problem, time, model, 0.0, 0.0, instruction.cycles)
        row = min(fast, slow, key=lambda row: row.seconds)
        events[problem.computations[instruction.computation].name].append(Run(row, calls_at(problem, time)))
    entry = next(computation.name for computation in problem.computations if computation.caller is None)
    return max(walk(events, entry, model, 0).total, crossing_bytes(problem) / problem.target.hbm_bandwidth)


def crossing_bytes(problem: Problem) -> float:
    """Bytes that every plan moves over HBM: what is defined there is written there, and read or copied from there.

    Counts tensors that are alone in their alias group and whose definition must be in HBM: each is read in place or
    copied, so at least the smaller of its size and all bytes read of it crosses. An entry result may be written to fast
    memory, read there, and evicted: the smaller of its size and what is written of it crosses. What branches read is
    left out, for they may not run, and what instructions without time read: another core's gathers are logged with the
    whole table.
    """
    runs = _certain_runs(problem)

    def crossing(tensor: Tensor) -> float:
        written = runs[problem.instructions[tensor.time].computation] * tensor.defined_bytes
        if tensor.hbm_definition == "entry result":
            return min(float(tensor.size), written)
        readers = ((problem.instructions[use.time], use.accessed_bytes) for use in tensor.uses)
        read = fsum(runs[reader.computation] * accessed for reader, accessed in readers if not reader.free)
        return written + min(float(tensor.size), read)

    return fsum(
        crossing(tensor)
        for tensor in problem.tensors
        if tensor.hbm_definition is not None and len(problem.groups[tensor.group].tensors) == 1
    )


def _certain_runs(problem: Problem) -> list[int]:
    """How often each computation runs in one run of the program; 0 in branches."""
    runs = [0] * len(problem.computations)
    order = sorted(range(len(runs)), key=lambda number: -problem.computations[number].end)
    for number in order:
        computation = problem.computations[number]
        if computation.caller is None:
            runs[number] = 1
        elif computation.kind != "branch":
            runs[number] = runs[problem.instructions[computation.caller].computation] * computation.trips
    return runs
