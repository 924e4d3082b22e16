"""When each value of a final module holds its place in memory."""

from __future__ import annotations

from mallocgame.problem.dataflow import analyse
from mallocgame.problem.liveness import Range, live_ranges
from mallocgame.problem.schedule import flatten
from xla_dump_parser import AssignedValue, TupleShape
from xla_dump_parser.hlo import HloModule


class Lives:
    """The schedule of a module after memory space assignment, and the live ranges of its values.

    Attributes:
        schedule: the module's, flattened.

    Raises:
        BadInputError: the module is not scheduled, or does not hold together.
    """

    def __init__(self, module: HloModule) -> None:
        self.schedule = flatten(module)
        self._dataflow = analyse(self.schedule, module.source)
        self._ranges = live_ranges(self.schedule, self._dataflow, module)
        self._last = len(self.schedule.steps) - 1

    def of(self, value: AssignedValue) -> Range:
        """First and last time; the whole program for what the schedule does not have.

        A tuple's table of addresses holds its place until the last instruction of the same computation that takes the
        tuple.
        """
        time = self.schedule.times.get(value.instruction)
        if time is None:
            return 0, self._last
        if isinstance(value.shape, TupleShape):
            return self._of_table(time)
        number = self._dataflow.at[time].get(value.index)
        if number is None:
            return 0, self._last
        start, end = self._ranges[number]
        return start, min(end, self._last)

    def _of_table(self, time: int) -> Range:
        schedule = self.schedule
        body = schedule.bodies[schedule.computation_of[time]]
        name, home = schedule.steps[time].name, schedule.computations[schedule.computation_of[time]]
        start = home.start if schedule.steps[time].opcode == "parameter" else time
        end = home.end if body.root.name == name else time
        return start, max([end, *(schedule.times[user] for user in body.users.get(name, ()))])
