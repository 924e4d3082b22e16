"""When each value's buffer must exist (OpenXLA hlo_live_range.cc)."""

from __future__ import annotations

from itertools import pairwise

from mallocgame.problem.aliasing import donated_parameters
from mallocgame.problem.dataflow import Dataflow, Value
from mallocgame.problem.schedule import Schedule, asynchronous_start
from xla_dump_parser import hlo

Range = tuple[int, int]


def live_ranges(schedule: Schedule, dataflow: Dataflow, module: hlo.HloModule) -> list[Range]:
    """For each value, its (start, end) as HloLiveRange has it before it cuts the ranges of one buffer.

    A loop's initial value ends where the body's parameter starts; what a computation gives back ends just after the
    computation; results and entry parameters, unless donated, live until the end of the program. What is made inside an
    asynchronous operation is there from its start, if that is later, and until its done.
    """
    body_parameters = {
        schedule.computations[schedule.computation_of[time]].caller: time
        for time, step in enumerate(schedule.steps)
        if step.opcode == "parameter" and schedule.computations[schedule.computation_of[time]].kind == "body"
    }
    roots = {schedule.times[body.root.name]: number for number, body in enumerate(schedule.bodies)}
    end_of_program = len(schedule.steps)
    donated = donated_parameters(module)
    beside = _asynchronous(schedule)
    ranges = []
    for value in dataflow.values:
        start = end = value.time
        step = schedule.steps[value.time]
        computation = schedule.computations[schedule.computation_of[value.time]]
        if step.opcode == "parameter":
            start = computation.start
            if computation.kind == "entry" and ((step.literal or "").strip(), value.index) not in donated:
                end = end_of_program
        if schedule.computation_of[value.time] in beside:
            begun, done = beside[schedule.computation_of[value.time]]
            start, end = max(start, begun), max(end, done)
        for time, _, _ in value.reads:
            end = max(end, body_parameters.get(time, time))
        for time, _ in value.positions:
            if time in roots:
                end = max(end, schedule.computations[roots[time]].end + 1)
        ranges.append((start, end))
    return ranges


def _asynchronous(schedule: Schedule) -> dict[int, Range]:
    """For each computation inside an asynchronous operation, the times of that operation's start and of its done.

    As libtpu 0.0.52 has it; OpenXLA's sources have since put the start back to that of the computation around it.
    """
    done_of: dict[int, int] = {}
    for time, step in enumerate(schedule.steps):
        if step.opcode == "async-done":
            start = asynchronous_start(schedule.bodies[schedule.computation_of[time]], step)
            if start is not None:
                done_of[schedule.times[start.name]] = time
    found: dict[int, Range] = {}
    for number in range(len(schedule.computations)):  # callers come first
        caller = schedule.computations[number].caller
        if caller is None:
            continue
        outer = schedule.computation_of[caller]
        start = asynchronous_start(schedule.bodies[outer], schedule.steps[caller])
        if start is not None:
            begun = schedule.times[start.name]
            found[number] = (begun, done_of.get(begun, caller))
        elif outer in found:
            found[number] = found[outer]
    return found


def normalised(ranges: list[Range], groups: tuple[tuple[int, ...], ...]) -> list[Range]:
    """The ranges with those of one buffer cut so that they follow one another, as the live-range dump prints them."""
    cut = list(ranges)
    for members in groups:
        order = sorted(members, key=lambda number: (*cut[number], number))
        for one, other in pairwise(order):
            start, end = cut[one]
            next_start, next_end = cut[other]
            cut[other] = (next_start, max(end, next_end))
            cut[one] = (start, min(end, next_start))
    return cut


def covering(value: Value, live: Range, last_time: int) -> Range:
    """The range as closed times that contain the definition and every use."""
    end = max([min(live[1], last_time), value.time, *(time for time, _, _ in value.reads)])
    return (min(live[0], value.time), end)
