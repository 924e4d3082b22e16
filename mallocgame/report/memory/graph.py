"""The data flow of a scheduled module instruction by instruction, with what is inside of its fusions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mallocgame.problem.dataflow import Dataflow
from mallocgame.problem.schedule import Schedule
from mallocgame.report.memory.moves import moved, operands_of_root
from mallocgame.report.memory.passes import op_name_of
from mallocgame.system.errors import BadInputError
from xla_dump_parser import ArrayShape
from xla_dump_parser.hlo import Computation, HloModule, Instruction


class Fused(NamedTuple):
    """A fusion that is looked into: at a time of the schedule, or inside another one."""

    computation: str
    time: int
    fusion: str
    outer: Fused | None
    depth: int


class Inside(NamedTuple):
    """An instruction of a fused computation."""

    fused: Fused
    name: str


Place = int | Inside
"""A value, by its number in the data flow, or what is inside of a fusion."""


class Made(NamedTuple):
    """How what is at a place comes to be.

    Attributes:
        step: the instruction that makes it.
        given: for each of its operands the places that it may be from.
        carried: numbers of the operands whose elements it has, where it has nothing but these; None where it computes.
        argument: number of the program's parameter that it is; None for what is none.
        name: ``op_name``, of the fusion around it where it has none of its own.
    """

    step: Instruction
    given: Sequence[Sequence[Place]]
    carried: frozenset[int] | None
    argument: int | None
    name: str


class Reader(NamedTuple):
    """An instruction that reads what is at a place.

    Attributes:
        step: the instruction.
        operands: numbers of its operands that are from there.
        carried: as ``Made``.
        results: places of what it makes; empty for what hands on what it is given, as loops and tuples do.
        time: of it, or of the fusion around it.
        name: its own ``op_name``.
    """

    step: Instruction
    operands: Sequence[int]
    carried: frozenset[int] | None
    results: Sequence[Place]
    time: int
    name: str


_HANDED_ON = frozenset({"while", "conditional", "call", "tuple", "get-tuple-element", "parameter"})
_WHOLE = frozenset({0})
_COMBINED = frozenset({"all-reduce", "all-gather", "reduce-scatter"})
"""Collectives of which XLA makes one of several: each result is from the operand of its number."""

_MAX_DEPTH = 100


class Graph:
    """Steps back and forth between places.

    Its methods raise BadInputError where a fused computation does not hold together.

    Args:
        schedule: of the module.
        dataflow: of the schedule.
        module: which has the fused computations.
    """

    def __init__(self, schedule: Schedule, dataflow: Dataflow, module: HloModule) -> None:
        self._schedule, self._dataflow, self._module = schedule, dataflow, module
        self._phis: dict[int, list[int]] = {}
        for number, value in enumerate(dataflow.values):
            for source in value.inputs:
                self._phis.setdefault(source, []).append(number)
        self._parameters: dict[str, Mapping[int, str]] = {}

    def carried(self, number: int) -> Sequence[int]:
        """The loops' and conditionals' values that a value is one possibility of."""
        return self._phis.get(number, ())

    def is_carried(self, place: Place) -> bool:
        """Whether a place has what a loop or a conditional hands on."""
        return isinstance(place, int) and bool(self._dataflow.values[place].inputs)

    def dims(self, place: Place) -> tuple[int, ...]:
        """Dimensions of what is at a place; none for a tuple."""
        if isinstance(place, int):
            return self._dataflow.values[place].shape.dims
        return dims_of(self._inside(place))

    def made(self, place: Place) -> Made:
        """How what is at a place comes to be; a loop's value by all that it may be."""
        if isinstance(place, int):
            return self._made_whole(place)
        fused = place.fused
        body = self._body(fused)
        step = self._inside(place)
        if step.opcode == "parameter":
            return Made(step, [self._passed_in(fused, step)], _WHOLE, None, "")
        if self._is_looked_into(step):
            inner = self._entered(step, fused.time, fused)
            return Made(step, [[Inside(inner, name) for name in operands_of_root(self._body(inner))]], _WHOLE, None, "")
        given = [[Inside(fused, name)] for name in step.operands]
        return Made(step, given, moved(step, body.by_name), None, op_name_of(step) or self._name_around(fused))

    def readers(self, place: Place) -> Iterator[Reader | Place]:
        """What reads a place, or what else holds the same."""
        return self._readers_of_whole(place) if isinstance(place, int) else self._readers_inside(place)

    def defined_at(self, time: int) -> list[int]:
        """The values that the instruction at a time makes, and does not only pass on."""
        return [number for number in self._dataflow.at[time].values() if self._dataflow.values[number].time == time]

    def _made_whole(self, number: int) -> Made:
        value = self._dataflow.values[number]
        step = self._schedule.steps[value.time]
        name = op_name_of(step)
        home = self._schedule.computation_of[value.time]
        if value.inputs:
            return Made(step, [value.inputs], _WHOLE, None, name)
        if step.opcode == "parameter" and self._schedule.computations[home].kind == "entry":
            return Made(step, [], None, number_of_parameter(step), name)
        if self._is_looked_into(step):
            fused = self._entered(step, value.time, None)
            names = operands_of_root(self._body(fused))
            chosen = names[value.index[0] : value.index[0] + 1] if value.index and len(names) > 1 else names
            return Made(step, [[Inside(fused, one) for one in chosen]], _WHOLE, None, name)
        apart = step.opcode in _COMBINED and len(step.operands) > 1
        given = [
            [] if apart and value.index[:1] != (operand,) else self._given(value.time, operand)
            for operand in range(len(step.operands))
        ]
        return Made(step, given, moved(step, self._schedule.bodies[home].by_name), None, name)

    def _readers_of_whole(self, number: int) -> Iterator[Reader | Place]:
        value = self._dataflow.values[number]
        yield from self._phis.get(number, ())
        for other in self._phis.get(value.inputs[0], ()) if value.inputs else ():
            if self._dataflow.values[other].inputs == value.inputs:  # a loop's condition, body and result have the same
                yield other
        for time, operand, _ in value.reads:
            step = self._schedule.steps[time]
            if self._is_looked_into(step):
                yield from self._parameter(self._entered(step, time, None), operand)
            elif step.opcode not in _HANDED_ON and not step.opcode.startswith("async-"):
                named = self._schedule.bodies[self._schedule.computation_of[time]].by_name
                results = self.defined_at(time)
                if step.opcode in _COMBINED and len(step.operands) > 1:
                    results = [one for one in results if self._dataflow.values[one].index[:1] == (operand,)]
                yield Reader(step, [operand], moved(step, named), results, time, op_name_of(step))

    def _readers_inside(self, place: Inside) -> Iterator[Reader | Place]:
        fused, name = place
        body = self._body(fused)
        for user in body.users.get(name, ()):
            step = body.by_name[user]
            operands = [number for number, operand in enumerate(step.operands) if operand == name]
            if self._is_looked_into(step):
                inner = self._entered(step, fused.time, fused)
                yield from (found for operand in operands for found in self._parameter(inner, operand))
            elif step.opcode != "tuple":
                carried = moved(step, body.by_name)
                yield Reader(step, operands, carried, [Inside(fused, user)], fused.time, op_name_of(step))
        for number, output in enumerate(operands_of_root(body)):
            if output == name:
                yield from self._given_out(fused, (number,) if body.root.opcode == "tuple" else ())

    def _given_out(self, fused: Fused, index: tuple[int, ...]) -> Iterator[Place]:
        if fused.outer is not None:
            yield Inside(fused.outer, fused.fusion)
            return
        given = self._dataflow.at[fused.time]
        yield from [given[index]] if index in given else given.values()  # all of a root that makes a tuple by itself

    def _given(self, time: int, operand: int) -> list[Place]:
        """The values of an operand."""
        operands = self._schedule.steps[time].operands
        return list(self._dataflow.at[self._schedule.times[operands[operand]]].values())

    def _passed_in(self, fused: Fused, parameter: Instruction) -> list[Place]:
        number, operands = number_of_parameter(parameter), self._fusion(fused).operands
        if number is None or number >= len(operands):
            return []
        if fused.outer is not None:
            return [Inside(fused.outer, operands[number])]
        return self._given(fused.time, number)

    def _parameter(self, fused: Fused, number: int) -> Iterator[Place]:
        """The place of an operand inside of its fusion."""
        names = self._parameters.get(fused.computation)
        if names is None:
            steps = (step for step in self._body(fused).instructions if step.opcode == "parameter")
            numbered = ((number_of_parameter(step), step.name) for step in steps)
            names = {one: name for one, name in numbered if one is not None}
            self._parameters[fused.computation] = names
        if number in names:
            yield Inside(fused, names[number])

    def _entered(self, step: Instruction, time: int, outer: Fused | None) -> Fused:
        depth = 0 if outer is None else outer.depth + 1
        if depth > _MAX_DEPTH:
            raise BadInputError(f"{self._module.source}:{step.line}: fusions nested deeper than {_MAX_DEPTH}")
        return Fused(step.called[0], time, step.name, outer, depth)

    def _inside(self, place: Inside) -> Instruction:
        found = self._body(place.fused).by_name.get(place.name)
        if found is None:
            where = f"{self._module.source}: computation {place.fused.computation}"
            raise BadInputError(f"{where} reads {place.name}, which it does not have")
        return found

    def _is_looked_into(self, step: Instruction) -> bool:
        return step.opcode == "fusion" and bool(step.called) and step.called[0] in self._module.computations

    def _body(self, fused: Fused) -> Computation:
        return self._module.computations[fused.computation]

    def _fusion(self, fused: Fused) -> Instruction:
        return (
            self._schedule.steps[fused.time] if fused.outer is None else self._body(fused.outer).by_name[fused.fusion]
        )

    def _name_around(self, fused: Fused) -> str:
        return op_name_of(self._fusion(fused))


def number_of_parameter(step: Instruction) -> int | None:
    """The number of a parameter; None where the text has none."""
    literal = (step.literal or "").strip()
    return int(literal) if literal.isdigit() and len(literal) < 10 else None


def dims_of(step: Instruction) -> tuple[int, ...]:
    """Dimensions of an instruction's array; none for a tuple."""
    return step.shape.dims if isinstance(step.shape, ArrayShape) else ()
