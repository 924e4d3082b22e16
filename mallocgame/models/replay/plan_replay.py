"""E and M of a plan, from its problem alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mallocgame.models.replay.costs import instruction_seconds
from mallocgame.models.replay.occupancy import Interval, peak_bytes
from mallocgame.models.replay.records import Model, Replay, Row
from mallocgame.models.replay.walk import Call, Event, Run, Start, Wait, walk
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.problem.schema import Problem
from mallocgame.system.errors import BadInputError

if TYPE_CHECKING:
    from mallocgame.models.cycles.table import CycleTable


def replay_plan(problem: Problem, plan: Plan, model: Model, cycles: CycleTable | None = None) -> Replay:
    """Replay a valid plan.

    Just before an instruction the computation waits for the copies due there; then the instruction runs; then the
    copies start that follow it, in the plan's order. Under E the cycles are those that the table predicts for the
    plan, without one those of XLA's default placement, as far as the problem has them: an estimate until the plan is
    compiled.

    Raises:
        BadInputError: the plan is for another problem, or a copy is not within one computation.
    """
    if plan.fingerprint != problem.fingerprint:
        raise BadInputError("the plan is for another program or schedule")
    starts, waits = _copies_by_time(problem, plan)
    read = [0.0] * len(problem.instructions)
    written = [0.0] * len(problem.instructions)
    for tensor, number in plan.fast_uses:
        use = problem.tensors[tensor].uses[number]
        read[use.time] += use.accessed_bytes
    for tensor in plan.fast_definitions:
        written[problem.tensors[tensor].time] += problem.tensors[tensor].defined_bytes
    emitted = [instruction.cycles for instruction in problem.instructions] if cycles is None else cycles.of_plan(plan)
    events: dict[str, list[Event]] = {
        computation.name: [] for computation in sorted(problem.computations, key=lambda computation: computation.end)
    }
    for time in range(len(problem.instructions)):
        at = events[problem.computations[problem.instructions[time].computation].name]
        at.extend(Wait(copy) for copy in waits.get(time, ()))
        at.append(
            Run(make_row(problem, time, model, read[time], written[time], emitted[time]), calls_at(problem, time))
        )
        for copy in starts.get(time, ()):
            demand = problem.tensors[copy.tensor].size / problem.target.hbm_bandwidth
            at.append(Start(copy, copy.kind, demand))
    entry = next(computation.name for computation in problem.computations if computation.caller is None)
    return walk(events, entry, model, peak_bytes(stay_intervals(problem, plan.stays)))


def _copies_by_time(problem: Problem, plan: Plan) -> tuple[dict[int, list[Copy]], dict[int, list[Copy]]]:
    starts: dict[int, list[Copy]] = {}
    waits: dict[int, list[Copy]] = {}
    for copy in plan.copies:
        if problem.instructions[copy.after].computation != problem.instructions[copy.before].computation:
            name = problem.tensors[copy.tensor].name
            raise BadInputError(f"the copy of {name} after {copy.after}, before {copy.before} crosses a computation")
        starts.setdefault(copy.after, []).append(copy)
        waits.setdefault(copy.before, []).append(copy)
    return starts, waits


def make_row(
    problem: Problem, time: int, model: Model, fast_read: float, fast_write: float, cycles: float | None
) -> Row:
    """The row of the instruction at ``time`` with these bytes in fast memory; runs and stall are 0.

    ``cycles`` are the emitter's, for model E; where there are none, E is M.
    """
    instruction = problem.instructions[time]
    seconds = hbm = 0.0
    if not instruction.free:
        seconds, hbm = instruction_seconds(
            problem.target,
            model,
            instruction.least_seconds,
            cycles,
            instruction.total_bytes,
            fast_read,
            fast_write,
        )
    computation = problem.computations[instruction.computation].name
    return Row(instruction.name, instruction.opcode, computation, time, 0, seconds, hbm, 0.0)


def calls_at(problem: Problem, time: int) -> tuple[Call, ...]:
    """The computations that the instruction at ``time`` runs."""
    callees = (problem.computations[number] for number in problem.children.get(time, ()))
    return tuple(Call(callee.name, callee.trips, callee.kind == "branch") for callee in callees)


def stay_intervals(problem: Problem, stays: Iterable[Stay]) -> list[Interval]:
    """What stays occupy, and what instructions reserve; the tensors of an alias group share their bytes."""
    tensors = problem.tensors
    found: list[Interval] = [(one, one.start, one.end, one.size) for one in problem.reserved]
    found += ((tensors[stay.tensor].group, stay.start, stay.end, tensors[stay.tensor].size) for stay in stays)
    return found
