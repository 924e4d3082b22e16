"""When each value of a final module holds its place in memory."""

from __future__ import annotations

from mallocgame.problem.aliasing import alias_groups
from mallocgame.problem.dataflow import analyse
from mallocgame.problem.liveness import Range, live_ranges, normalised
from mallocgame.problem.schedule import flatten
from xla_dump_parser import AssignedValue, TupleShape
from xla_dump_parser.hlo import HloModule

_PASSING_ON = frozenset({"while", "conditional", "call", "tuple", "get-tuple-element", "bitcast"})


class Lives:
    """The schedule of a module after memory space assignment, and the live ranges of its values.

    Attributes:
        schedule: the module's, flattened.
        dataflow: of the schedule.

    Raises:
        BadInputError: the module is not scheduled, or does not hold together.
    """

    def __init__(self, module: HloModule) -> None:
        self.schedule = flatten(module)
        self.dataflow = analyse(self.schedule, module.source)
        groups = alias_groups(self.schedule, self.dataflow, module)
        self._ranges = normalised(live_ranges(self.schedule, self.dataflow, module), groups)
        self._group_of = {number: group for group in groups for number in group}
        self._last = len(self.schedule.steps) - 1

    def of(self, value: AssignedValue) -> Range:
        """First and last time; the whole program for what the schedule does not have.

        As the compiler's live-range dump has it: ranges of values that share a buffer follow one another.
        """
        time = self.schedule.times.get(value.instruction)
        if time is None:
            return 0, self._last
        if isinstance(value.shape, TupleShape):
            return self._of_table(time)
        number = self.number_of(value)
        if number is None:
            return 0, self._last
        start, end = self._ranges[number]
        return start, min(end, self._last)

    def number_of(self, value: AssignedValue) -> int | None:
        """Its number in ``dataflow``; None for what is not in the schedule, and for tables of tuples."""
        time = self.schedule.times.get(value.instruction)
        return None if time is None else self.dataflow.at[time].get(value.index)

    def makers(self, value: AssignedValue) -> list[int]:
        """Times of the instructions that make, and do not only pass on, what shares a value's buffer; in order."""
        number = self.number_of(value)
        values = (self.dataflow.values[one] for one in self._group_of.get(-1 if number is None else number, ()))
        return sorted(one.time for one in values if not one.inputs)

    def readers(self, value: AssignedValue, live: Range) -> list[int]:
        """Times at which what shares a value's buffer is read within a range, and not only passed on; in order."""
        number = self.number_of(value)
        group = self._group_of.get(-1 if number is None else number, ())
        times = {time for one in group for time, _, _ in self.dataflow.values[one].reads if live[0] <= time <= live[1]}
        return sorted(time for time in times if self.schedule.steps[time].opcode not in _PASSING_ON)

    def _of_table(self, time: int) -> Range:
        """Of a tuple's table of addresses: until the last instruction of the same computation that takes the tuple.

        What a loop begins with ends where its condition starts, a condition's parameter where the body starts, and what
        a computation gives back just after it.
        """
        schedule = self.schedule
        number = schedule.computation_of[time]
        body, home = schedule.bodies[number], schedule.computations[number]
        name, parameter = schedule.steps[time].name, schedule.steps[time].opcode == "parameter"
        ends = [time, *(self._taken(schedule.times[user]) for user in body.users.get(name, ()))]
        if body.root.name == name or (parameter and home.kind == "condition"):
            ends.append(home.end + 1)
        return home.start if parameter else time, min(max(ends), self._last)

    def _taken(self, user: int) -> int:
        """Time at which an instruction has taken a tuple."""
        starts = (one.start for one in self.schedule.computations if one.caller == user)
        return min(starts, default=user) if self.schedule.steps[user].opcode == "while" else user
