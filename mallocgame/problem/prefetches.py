"""From when on the compiler takes a prefetch for a use. Measured with libtpu 0.0.52: docs/expressibility.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mallocgame.problem.costs.cost import is_asynchronous
from mallocgame.problem.dataflow import Value
from mallocgame.problem.placement import PASSES_ON
from mallocgame.problem.schedule import Schedule
from mallocgame.problem.schema import ShapeIndex

_CALLS = frozenset({"while", "conditional"})


def earliest_starts(
    schedule: Schedule, value: Value, reads: Mapping[int, Sequence[tuple[int, ShapeIndex]]], given: bool
) -> dict[int, int | None]:
    """For the time of each use, the time after whose instruction a prefetch for it may start; None without any.

    A prefetch starts after the use before it where that is a loop's or a conditional's. Where such a one is the first
    use of what is not given, it would have to be kept in HBM, and all that come after it with it.

    Args:
        schedule: of the program.
        value: what is read.
        reads: by time, the operands through which an instruction reads it.
        given: whether the compiler has it in HBM at its definition; else it is made in fast memory for its first use.
    """
    home = schedule.computation_of[value.time]
    own = (time for time in sorted(reads) if schedule.computation_of[time] == home)
    first = next((time for time in own if schedule.steps[time].opcode not in PASSES_ON), None)
    kept = first is not None and not given and schedule.steps[first].opcode in _CALLS
    last = first if kept else None
    called: dict[int, int] = {}  # per computation the use before, where it is a loop's or a conditional's
    starts: dict[int, int | None] = {}
    for time in sorted(reads):
        computation, opcode = schedule.computation_of[time], schedule.steps[time].opcode
        start = _taken_in(schedule, value, time, len(reads[time])) if last is None or time <= last else None
        starts[time] = None if start is None else max(start, called.get(computation, start))
        if opcode in _CALLS:
            called[computation] = time
        elif opcode not in PASSES_ON:
            called.pop(computation, None)
    return starts


def _taken_in(schedule: Schedule, value: Value, time: int, sites: int) -> int | None:
    """The definition, or where the loop or branch that the use is in takes the value in.

    None for uses that hand the value on, except by a loop or a conditional through one operand: a prefetch for that
    one serves the uses inside.
    """
    step = schedule.steps[time]
    home = schedule.computation_of[time]
    if is_asynchronous(step.opcode) or step.opcode in ("tuple", "get-tuple-element", "call"):
        return None
    if step.opcode in _CALLS and sites > 1:
        return None
    if schedule.computation_of[value.time] == home:
        return value.time
    if schedule.computations[home].kind not in ("body", "branch"):
        return None
    taken = [at for at, _ in value.positions if schedule.computation_of[at] == home]
    return taken[0] if taken and schedule.steps[taken[0]].opcode == "parameter" else None
