"""When each value's buffer must exist (OpenXLA hlo_live_range.cc)."""

from __future__ import annotations

from itertools import pairwise

from mallocgame.problem.aliasing import donated_parameters
from mallocgame.problem.dataflow import Dataflow, Value
from mallocgame.problem.schedule import Schedule
from xla_dump_parser import hlo

Range = tuple[int, int]


def live_ranges(schedule: Schedule, dataflow: Dataflow, module: hlo.HloModule) -> list[Range]:
    """For each value, its (start, end) as HloLiveRange has it before it cuts the ranges of one buffer.

    A loop's initial value ends where the body's parameter starts; what a computation gives back ends just after the
    computation; results and entry parameters, unless donated, live until the end of the program.
    """
    body_parameters = {
        schedule.computations[schedule.computation_of[time]].caller: time
        for time, step in enumerate(schedule.steps)
        if step.opcode == "parameter" and schedule.computations[schedule.computation_of[time]].kind == "body"
    }
    roots = {schedule.times[body.root.name]: number for number, body in enumerate(schedule.bodies)}
    end_of_program = len(schedule.steps)
    donated = donated_parameters(module)
    ranges = []
    for value in dataflow.values:
        start = end = value.time
        step = schedule.steps[value.time]
        computation = schedule.computations[schedule.computation_of[value.time]]
        if step.opcode == "parameter":
            start = computation.start
            if computation.kind == "entry" and ((step.literal or "").strip(), value.index) not in donated:
                end = end_of_program
        elif computation.caller is not None and schedule.steps[computation.caller].opcode.startswith("async-"):
            start = end = computation.caller
        for time, _, _ in value.reads:
            end = max(end, body_parameters.get(time, time))
        for time, _ in value.positions:
            if time in roots:
                end = max(end, schedule.computations[roots[time]].end + 1)
        ranges.append((start, end))
    return ranges


def normalised(ranges: list[Range], groups: tuple[tuple[int, ...], ...]) -> list[Range]:
    """The ranges with those of one buffer cut so that they follow one another, as the live-range dump prints them."""
    cut = list(ranges)
    for members in groups:
        order = sorted(members, key=lambda number: (cut[number][0], number))
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
