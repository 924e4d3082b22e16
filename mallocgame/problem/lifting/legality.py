"""Whether every buffer of a program can be one: copies that the compiler put in for that cannot be left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from mallocgame.problem.aliasing import alias_groups, donated_parameters
from mallocgame.problem.dataflow import Dataflow, analyse
from mallocgame.problem.liveness import Range, live_ranges
from mallocgame.problem.schedule import Schedule, flatten
from xla_dump_parser import hlo


@dataclass(frozen=True)
class Clashes:
    """The buffers of a program that hold two arrays at once.

    Attributes:
        groups: the arrays of each, as numbers of values.
        values: number of the value that each instruction gives, where it gives one array.
    """

    groups: tuple[tuple[int, ...], ...]
    values: Mapping[str, int]


def clashes_of(module: hlo.HloModule) -> Clashes:
    """The buffers that cannot be as they are.

    Those are: one of an entry parameter that is not donated, or of a constant, which something else is written to; one
    with two arrays that are live at once, neither of which may be the other; and one that is in the result twice, or is
    an argument given back as it is.
    """
    schedule = flatten(module)
    dataflow = analyse(schedule, module.source)
    ranges = live_ranges(schedule, dataflow, module)
    donated = donated_parameters(module)
    root = list(dataflow.at[schedule.entry_root].values())
    groups = alias_groups(schedule, dataflow, module)
    fixed = {
        number
        for number, value in enumerate(dataflow.values)
        if _is_given(schedule, value.time) and (_parameter_number(schedule, value.time), value.index) not in donated
    }
    found = tuple(
        members
        for members in groups
        if (
            len(members) > 1
            and (not fixed.isdisjoint(members) or _overlap(schedule, dataflow, module, ranges, members))
        )
        or sum(root.count(member) for member in members) > 1
        or any(member in fixed and member in root for member in members)
    )
    values = {schedule.steps[time].name: given[()] for time, given in enumerate(dataflow.at) if () in given}
    return Clashes(found, values)


def _is_given(schedule: Schedule, time: int) -> bool:
    step = schedule.steps[time]
    home = schedule.computations[schedule.computation_of[time]]
    return step.opcode == "constant" or (step.opcode == "parameter" and home.kind == "entry")


def _parameter_number(schedule: Schedule, time: int) -> str:
    step = schedule.steps[time]
    return (step.literal or "").strip() if step.opcode == "parameter" else ""


def _overlap(
    schedule: Schedule, dataflow: Dataflow, module: hlo.HloModule, ranges: list[Range], members: tuple[int, ...]
) -> bool:
    made = [number for number in members if not dataflow.values[number].inputs]
    order = sorted(made, key=lambda number: (ranges[number][0], number))
    for one, other in pairwise(order):
        start, end = ranges[other][0], ranges[one][1]
        if start < end and _end_beside(schedule, dataflow, module, one, dataflow.values[other].time) > start:
            return True
    return False


def _end_beside(schedule: Schedule, dataflow: Dataflow, module: hlo.HloModule, number: int, time: int) -> int:
    """End of a value's live range without what happens in branches that do not run where ``time`` is in one."""
    value = dataflow.values[number]
    branches = _branches(schedule, time)

    def runs(at: int) -> bool:
        inside = _branches(schedule, at)
        return at not in branches and all(branches.get(caller, branch) == branch for caller, branch in inside.items())

    beside = replace(
        value,
        positions=[(at, index) for at, index in value.positions if runs(at)],
        reads=[(at, operand, index) for at, operand, index in value.reads if runs(at)],
    )
    return live_ranges(schedule, Dataflow((beside,), dataflow.at), module)[0][1]


def _branches(schedule: Schedule, time: int) -> dict[int, int]:
    """The branches that the instruction at a time is in: number of the computation by time of the conditional."""
    found: dict[int, int] = {}
    number = schedule.computation_of[time]
    caller = schedule.computations[number].caller
    while caller is not None:
        if schedule.computations[number].kind == "branch":
            found[caller] = number
        number = schedule.computation_of[caller]
        caller = schedule.computations[number].caller
    return found
