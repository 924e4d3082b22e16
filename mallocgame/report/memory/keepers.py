"""Who keeps a buffer alive: what reads it last, and what holds its place beyond that."""

from __future__ import annotations

from mallocgame.problem.liveness import Range
from mallocgame.report.memory.flow import Flow
from mallocgame.report.memory.lives import Lives
from mallocgame.report.memory.passes import op_name_of
from mallocgame.report.memory.use import Keeper, Kind, Why
from mallocgame.report.peak import source_of
from xla_dump_parser import AssignedValue, SourceLines


class Keepers:
    """Last readers and writers of a module's values."""

    def __init__(self, lives: Lives, flow: Flow, lines: SourceLines) -> None:
        self._lives, self._flow, self._lines = lives, flow, lines

    def of(self, value: AssignedValue, kind: Kind, live: Range) -> Keeper | None:
        """Who keeps a value alive that is a buffer of this kind; None for what is no array of the schedule.

        Args:
            value: of the buffer; of a donated argument the one that is there first.
            kind: of the buffer.
            live: first and last time of the value.
        """
        number = self._lives.number_of(value)
        if number is None or kind == "thread-local":
            return None
        if kind in ("output", "aliased"):
            made = [self._maker(time) for time in self._lives.makers(value)[-1:]]
            return self._told("output" if kind == "output" else "donated", made)
        readers = self._lives.readers(value, live)
        if kind == "temporary":
            loop = self._loop(readers[-1], live) if readers else self._begins(number)
            return self._told("read", readers[-1:], loop)
        return self._told("argument" if kind == "argument" else "constant", readers[-1:])

    def _told(self, why: Why, last: list[int], loop: str = "") -> Keeper:
        steps = self._lives.schedule.steps
        if not last:
            return Keeper(why, "", None, "", None, loop)
        step = steps[last[0]]
        known = step if op_name_of(step) else steps[self._computing(last[0])]
        return Keeper(why, step.name, last[0], op_name_of(known), source_of(self._lines, known), loop)

    def _maker(self, time: int) -> int:
        """Time of the instruction that computes what the one at a time makes, or only copies."""
        values = self._lives.dataflow.values
        while found := self._flow.graph.defined_at(time):
            made = self._flow.graph.made(found[0])
            sources = [place for places in made.given for place in places if made.carried and isinstance(place, int)]
            if len(sources) != 1 or values[found[0]].inputs:
                break
            time = values[sources[0]].time
        return time

    def _computing(self, time: int) -> int:
        """Time of the first instruction that computes with what a copy or slice moves; its own without any."""
        uses = (use.time for number in self._flow.graph.defined_at(time) for use in self._flow.uses(number))
        return min((use for use in uses if use > time), default=time)

    def _begins(self, number: int) -> str:
        """The loop that a value is what it begins with; empty without."""
        steps = self._lives.schedule.steps
        readers = (steps[time] for time, _, _ in self._lives.dataflow.values[number].reads)
        return next((step.name for step in readers if step.opcode == "while"), "")

    def _loop(self, last: int, live: Range) -> str:
        """The outermost loop that begins before a value is last read and in whose rounds it has to be there."""
        schedule = self._lives.schedule
        number, loop = schedule.computation_of[last], ""
        while (caller := schedule.computations[number].caller) is not None:
            home = schedule.computations[number]
            if home.kind == "body" and live[0] < home.start and live[1] >= home.end > last:
                loop = schedule.steps[caller].name
            number = schedule.computation_of[caller]
        return loop
