"""Where what a value holds comes from and what computes with it, through all that only moves data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

from mallocgame.problem.dataflow import Dataflow
from mallocgame.problem.schedule import Schedule
from mallocgame.problem.schema import ShapeIndex
from mallocgame.report.memory.moves import is_collective, is_gather, moved, operands_of_root
from mallocgame.report.memory.passes import Pass, op_name_of, pass_of
from xla_dump_parser import ArrayShape
from xla_dump_parser.hlo import Computation, HloModule, Instruction

_HANDED_ON = frozenset({"while", "conditional", "call", "tuple", "get-tuple-element", "parameter"})
_SUMS_DEEP = 8
"""How many additions of additions are looked through."""


class Origin(NamedTuple):
    """Where data comes from.

    Attributes:
        kind: an argument of the program, a collective, or an instruction that makes it.
        argument: number of the parameter.
        part: what the instruction is of; None where it has no name.
    """

    kind: Literal["argument", "collective", "made"]
    argument: int | None = None
    part: Pass | None = None


class Use(NamedTuple):
    """An instruction that computes with data.

    Attributes:
        time: of it, or of the fusion that it is in.
        part: what it is of; None where it has no name.
        dims: of its result.
    """

    time: int
    part: Pass | None
    dims: tuple[int, ...]


class _Fused(NamedTuple):
    """A fusion that is looked into: at a time of the schedule, or inside another one."""

    computation: str
    time: int
    fusion: str
    outer: _Fused | None


class _Inside(NamedTuple):
    """An instruction of a fused computation."""

    fused: _Fused
    name: str


_Place = int | _Inside
"""A value's number, or what is inside of a fusion."""


class Flow:
    """The data flow of a scheduled module, fused computations included.

    A value *is moved* by an instruction whose result has nothing but its elements: copies, slices, transposes, type
    conversions, updates of a part.
    """

    def __init__(self, schedule: Schedule, dataflow: Dataflow, module: HloModule) -> None:
        self._schedule, self._dataflow, self._module = schedule, dataflow, module
        self._phis: dict[int, list[int]] = {}
        for number, value in enumerate(dataflow.values):
            for source in value.inputs:
                self._phis.setdefault(source, []).append(number)
        self._parameters: dict[str, Mapping[int, str]] = {}

    @cached_property
    def trains(self) -> bool:
        """Whether the program takes a gradient: it has instructions of a backward pass."""
        return any(pass_of(op_name_of(step)) == "backward" for step in self._schedule.steps)

    def origins(self, number: int) -> frozenset[Origin]:
        """Where a value's data comes from; constants and what is filled with one are left out."""
        return frozenset(self._origins([number], 0, frozenset()))

    def uses(self, number: int) -> Iterator[Use]:
        """What computes with a value, or with what it is moved or gathered to."""
        pending: list[_Place] = [number]
        seen = set(pending)
        while pending:
            place = pending.pop()
            for found in self._read_whole(place) if isinstance(place, int) else self._read_inside(place):
                if isinstance(found, Use):
                    yield found
                elif found not in seen:
                    seen.add(found)
                    pending.append(found)

    def carried(self, number: int) -> Sequence[int]:
        """The loops' and conditionals' values that a value is one possibility of."""
        return self._phis.get(number, ())

    def defined_at(self, time: int) -> Iterator[int]:
        """The values that the instruction at a time makes, and does not only pass on."""
        return (number for number in self._dataflow.at[time].values() if self._dataflow.values[number].time == time)

    def _origins(self, start: list[_Place], depth: int, around: frozenset[_Place]) -> set[Origin]:
        found: set[Origin] = set()
        pending, seen = list(start), {*start, *around}
        while pending:
            place = pending.pop()
            sources: list[_Place] | Origin
            if isinstance(place, int):
                sources = self._source_of_value(place, depth, seen)
            else:
                body = self._module.computations[place.fused.computation]
                sources = self._source_inside(place, body.by_name[place.name], depth, seen)
            if isinstance(sources, Origin):
                found.add(sources)
                continue
            for source in sources:
                if source not in seen:
                    seen.add(source)
                    pending.append(source)
        return found

    def _source_of_value(self, number: int, depth: int, seen: set[_Place]) -> list[_Place] | Origin:
        value = self._dataflow.values[number]
        step = self._schedule.steps[value.time]
        if value.inputs:
            return list(value.inputs)
        if step.opcode == "parameter":
            home = self._schedule.computations[self._schedule.computation_of[value.time]]
            literal = (step.literal or "").strip()
            return Origin("argument", int(literal)) if home.kind == "entry" and literal.isdigit() else Origin("made")
        if step.opcode == "fusion" and step.called and step.called[0] in self._module.computations:
            fused = _Fused(step.called[0], value.time, step.name, None)
            return [_Inside(fused, name) for name in self._made_at(fused, value.index)]
        carried = moved(step, self._named_outside(value.time))
        if carried is None:
            return self._made(step, "", [self._given(value.time, n) for n in range(len(step.operands))], depth, seen)
        return [one for operand in carried for one in self._given(value.time, operand)]

    def _source_inside(self, place: _Inside, step: Instruction, depth: int, seen: set[_Place]) -> list[_Place] | Origin:
        fused = place.fused
        if step.opcode == "parameter":
            return self._passed_in(fused, step)
        if step.opcode == "fusion" and step.called and step.called[0] in self._module.computations:
            inner = _Fused(step.called[0], fused.time, step.name, fused)
            return [_Inside(inner, name) for name in operands_of_root(self._module.computations[inner.computation])]
        body = self._module.computations[fused.computation]
        carried = moved(step, body.by_name)
        if carried is None:
            given: list[list[_Place]] = [[_Inside(fused, name)] for name in step.operands]
            return self._made(step, op_name_of(self._fusion(fused)), given, depth, {*seen, place})
        return [_Inside(fused, step.operands[operand]) for operand in carried]

    def _made(
        self, step: Instruction, outer_name: str, given: list[list[_Place]], depth: int, seen: set[_Place]
    ) -> Origin:
        if is_collective(step, self._module):
            return Origin("collective")
        part = pass_of(op_name_of(step) or outer_name)
        if step.opcode == "add" and part == "outside" and depth < _SUMS_DEEP:
            parts = self._origins([place for places in given for place in places], depth + 1, frozenset(seen))
            if parts and all(one.part == "backward" for one in parts):
                return Origin("made", part="backward")
        return Origin("made", part=part)

    def _read_whole(self, number: int) -> Iterator[_Place | Use]:
        value = self._dataflow.values[number]
        yield from self._phis.get(number, ())
        for other in self._phis.get(value.inputs[0], ()) if value.inputs else ():
            if self._dataflow.values[other].inputs == value.inputs:  # a loop's condition, body and result have the same
                yield other
        for time, operand, _ in value.reads:
            step = self._schedule.steps[time]
            if step.opcode == "fusion" and step.called and step.called[0] in self._module.computations:
                fused = _Fused(step.called[0], time, step.name, None)
                name = self._parameters_of(fused.computation).get(operand)
                if name is not None:
                    yield _Inside(fused, name)
                continue
            carried = moved(step, self._named_outside(time))
            if is_gather(step) or (carried is not None and operand in carried):
                yield from self.defined_at(time)
            elif step.opcode not in _HANDED_ON and not step.opcode.startswith("async-"):
                yield Use(time, pass_of(op_name_of(step)), _dims(step))

    def _read_inside(self, place: _Inside) -> Iterator[_Place | Use]:
        fused, name = place
        body = self._module.computations[fused.computation]
        for user in body.users.get(name, ()):
            step = body.by_name[user]
            positions = [number for number, operand in enumerate(step.operands) if operand == name]
            if step.opcode == "fusion" and step.called and step.called[0] in self._module.computations:
                inner = _Fused(step.called[0], fused.time, step.name, fused)
                parameters = self._parameters_of(inner.computation)
                yield from (_Inside(inner, parameters[number]) for number in positions if number in parameters)
                continue
            carried = moved(step, body.by_name)
            if carried is not None and not carried.isdisjoint(positions):
                yield _Inside(fused, user)
            elif step.opcode != "tuple":
                part = pass_of(op_name_of(step) or op_name_of(self._fusion(fused)))
                yield Use(fused.time, part, _dims(step))
        for number, output in enumerate(operands_of_root(body)):
            if output == name:
                yield from self._given_out(fused, number if body.root.opcode == "tuple" else None)

    def _given_out(self, fused: _Fused, number: int | None) -> Iterator[_Place]:
        if fused.outer is not None:
            yield _Inside(fused.outer, fused.fusion)
            return
        given = self._dataflow.at[fused.time]
        value = given.get(() if number is None else (number,))
        if value is not None:
            yield value

    def _given(self, time: int, operand: int) -> list[_Place]:
        operands = self._schedule.steps[time].operands
        if operand >= len(operands):
            return []
        return list(self._dataflow.at[self._schedule.times[operands[operand]]].values())

    def _made_at(self, fused: _Fused, index: ShapeIndex) -> tuple[str, ...]:
        names = operands_of_root(self._module.computations[fused.computation])
        return names[index[0] : index[0] + 1] if index and len(names) > 1 else names

    def _passed_in(self, fused: _Fused, parameter: Instruction) -> list[_Place]:
        literal = (parameter.literal or "").strip()
        operands = self._fusion(fused).operands
        if not literal.isdigit() or int(literal) >= len(operands):
            return []
        if fused.outer is not None:
            return [_Inside(fused.outer, operands[int(literal)])]
        return self._given(fused.time, int(literal))

    def _fusion(self, fused: _Fused) -> Instruction:
        if fused.outer is None:
            return self._schedule.steps[fused.time]
        return self._module.computations[fused.outer.computation].by_name[fused.fusion]

    def _named_outside(self, time: int) -> Mapping[str, Instruction]:
        return self._schedule.bodies[self._schedule.computation_of[time]].by_name

    def _parameters_of(self, computation: str) -> Mapping[int, str]:
        found = self._parameters.get(computation)
        if found is None:
            found = self._parameters[computation] = _parameters(self._module.computations[computation])
        return found


def _parameters(body: Computation) -> dict[int, str]:
    """Names of a computation's parameters by their numbers."""
    steps = ((step, (step.literal or "").strip()) for step in body.instructions if step.opcode == "parameter")
    return {int(literal): step.name for step, literal in steps if literal.isdigit()}


def _dims(step: Instruction) -> tuple[int, ...]:
    return step.shape.dims if isinstance(step.shape, ArrayShape) else ()
