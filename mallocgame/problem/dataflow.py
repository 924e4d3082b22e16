"""Which HLO value is at each position, and where each value is read (OpenXLA hlo_dataflow_analysis.cc, SSA form).

A value is an array that one instruction defines, or a phi: what a loop's parameter or result, or a conditional's
result, may be one of several arrays. Tuples pass through; tokens and opaque values are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from mallocgame.problem.costs.cost import is_asynchronous
from mallocgame.problem.phis import resolve_phis
from mallocgame.problem.schedule import Schedule
from mallocgame.problem.schema import ShapeIndex
from mallocgame.system.errors import BadInputError
from xla_dump_parser import hlo
from xla_dump_parser.shapes import walk_shape

Values = Mapping[ShapeIndex, int]
"""For each array of an instruction's shape, the value there."""

Read = tuple[int, int, ShapeIndex]
"""(time, operand number, shape index) of one reading operand."""

MAX_POSITIONS = 20_000_000
_NO_ARRAY = frozenset({"token", "opaque"})
_FORWARDS = frozenset({"bitcast", "optimization-barrier", "opt-barrier", "domain", "add-dependency", "all-reduce-done"})
_WHOLE_OPERAND = frozenset({"get-tuple-element", "copy"})
_OF_ITS_OWN = frozenset({"copy", "send", "recv", "collective-permute", "all-gather", "all-reduce"})
"""Operations whose starts have opcodes of their own; the start of any other is short for an async-start."""


@dataclass(slots=True)
class Value:
    """One HLO value.

    Attributes:
        time: of the defining instruction.
        index: of the defining position in its shape.
        shape: of the array.
        inputs: of a phi, the values that it may be; empty for any other.
        positions: (time, index) of every position that holds it, the defining one first.
        reads: where it is used, in order of time and operand.
    """

    time: int
    index: ShapeIndex
    shape: hlo.ArrayShape
    inputs: tuple[int, ...] = ()
    positions: list[tuple[int, ShapeIndex]] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)


@dataclass(frozen=True)
class Dataflow:
    """Values by number, in order of definition, and for each time the values that the instruction gives."""

    values: tuple[Value, ...]
    at: tuple[Values, ...]


def analyse(schedule: Schedule, source: str) -> Dataflow:
    """The dataflow of a schedule.

    Raises:
        BadInputError: an operand that is not defined before its reader, or shapes that do not fit together.
    """
    return _Analysis(schedule, source).run()


class _Analysis:
    def __init__(self, schedule: Schedule, source: str) -> None:
        self.schedule = schedule
        self.source = source
        self.values: list[Value] = []
        self.phis: dict[int, list[int]] = {}
        self.at: list[Values] = []
        self.number_of = {computation.name: n for n, computation in enumerate(schedule.computations)}
        self.callers = [computation.caller for computation in schedule.computations]
        self.callees: dict[int, list[str]] = {}
        for computation in schedule.computations:
            if computation.caller is not None:
                self.callees.setdefault(computation.caller, []).append(computation.name)
        self.branch_of: dict[int, int] = {}
        branches: Counter[int] = Counter()
        for number, computation in enumerate(schedule.computations):
            if computation.kind == "branch" and computation.caller is not None:
                self.branch_of[number] = branches[computation.caller]
                branches[computation.caller] += 1
        self.positions = 0

    def run(self) -> Dataflow:
        for time, step in enumerate(self.schedule.steps):
            self.at.append(self._give(time, step))
            self.positions += len(self.at[-1])
            if self.positions > MAX_POSITIONS:
                raise BadInputError(f"{self.source}: more than {MAX_POSITIONS} arrays in the shapes of the schedule")
        self._close_loops()
        same = resolve_phis(self.phis)
        resolved = [same.get(number, number) for number in range(len(self.values))]
        kept = {old: new for new, old in enumerate(sorted(set(resolved)))}
        renumber = [kept[target] for target in resolved]
        values = [self.values[old] for old in kept]
        for number, inputs in self.phis.items():
            if resolved[number] == number:
                self.values[number].inputs = tuple(dict.fromkeys(renumber[value] for value in inputs))
        at = tuple({index: renumber[value] for index, value in given.items()} for given in self.at)
        for time, given in enumerate(at):
            for index, number in given.items():
                values[number].positions.append((time, index))
        for value in values:
            value.positions.sort(key=lambda position: (position != (value.time, value.index), position))
        self._find_reads(values, at)
        return Dataflow(tuple(values), at)

    def _give(self, time: int, step: hlo.Instruction) -> Values:
        """The values that an instruction gives, phis and all."""
        opcode = step.opcode
        arrays = {index: array for index, array in walk_shape(step.shape) if array.dtype not in _NO_ARRAY}
        if opcode == "parameter":
            return self._parameter(time, step, arrays)
        if opcode == "while":
            return self._while(time, step, arrays)
        if opcode == "conditional":
            return self._conditional(time, step, arrays)
        if opcode == "call" or is_wrapped(opcode):
            return self._call(time, step, arrays)
        passed: dict[ShapeIndex, int] = {}
        if opcode == "tuple":
            for number, name in enumerate(step.operands):
                passed.update({(number, *index): value for index, value in self._operand(time, name).items()})
        elif opcode == "get-tuple-element":
            chosen = _number(step.attributes.get("index", ""), self._where(step))
            operand = self._operand(time, step.operands[0])
            passed = {index[1:]: value for index, value in operand.items() if index[:1] == (chosen,)}
        elif opcode in _FORWARDS:
            passed = dict(self._operand(time, step.operands[0]))
        elif opcode in ("copy-done", "recv-done", "collective-permute-done", "all-gather-done"):
            passed = self._done(time, step)
        elif opcode in ("copy-start", "send", "collective-permute-start", "all-gather-start"):
            passed = self._start(time, step)
        return self._fill(time, step, arrays, passed, strict=opcode in ("tuple", "get-tuple-element", "bitcast"))

    def _start(self, time: int, step: hlo.Instruction) -> dict[ShapeIndex, int]:
        """Operands of a start, which it gives on: of several, that of number i as {0,i}."""
        place: ShapeIndex = (1,) if step.opcode == "copy-start" else (0,)
        several = step.opcode == "all-gather-start" or (
            step.opcode == "collective-permute-start" and not is_in_place_permute(step)
        )
        if not several or len(step.operands) == 1:
            return {(*place, *index): value for index, value in self._operand(time, step.operands[0]).items()}
        return {
            (*place, number, *index): value
            for number, name in enumerate(step.operands)
            for index, value in self._operand(time, name).items()
        }

    def _done(self, time: int, step: hlo.Instruction) -> dict[ShapeIndex, int]:
        operand = self._operand(time, step.operands[0])
        if step.opcode == "recv-done":
            return {index: value for index, value in operand.items() if index[:1] == (0,)}
        place = 0 if step.opcode == "copy-done" else 1
        return {index[1:]: value for index, value in operand.items() if index[:1] == (place,)}

    def _fill(
        self,
        time: int,
        step: hlo.Instruction,
        arrays: Mapping[ShapeIndex, hlo.ArrayShape],
        passed: Mapping[ShapeIndex, int],
        strict: bool = False,
    ) -> Values:
        """``passed`` where an array of the shape takes it, a new value for every other array."""
        if strict and passed.keys() != arrays.keys():
            raise BadInputError(f"{self._where(step)}: the shape of {step.name} does not fit its operands")
        return {
            index: passed[index] if index in passed else self._define(time, index, array)
            for index, array in arrays.items()
        }

    def _define(self, time: int, index: ShapeIndex, array: hlo.ArrayShape) -> int:
        self.values.append(Value(time, index, array))
        return len(self.values) - 1

    def _phi(self, time: int, index: ShapeIndex, array: hlo.ArrayShape, inputs: list[int]) -> int:
        number = self._define(time, index, array)
        self.phis[number] = inputs
        return number

    def _parameter(self, time: int, step: hlo.Instruction, arrays: Mapping[ShapeIndex, hlo.ArrayShape]) -> Values:
        """Of the entry: defined here. Of a callee: what its caller passes; of a loop: a phi, closed later."""
        number = self.schedule.computation_of[time]
        computation = self.schedule.computations[number]
        caller = computation.caller
        if caller is None:
            return self._fill(time, step, arrays, {})
        call = self.schedule.steps[caller]
        place = _number((step.literal or "").strip(), self._where(step))
        if call.opcode == "conditional":
            place += 1 + self.branch_of[number]
        names = call.operands[1:] if call.opcode == "async-update" else call.operands
        if place >= len(names):
            raise BadInputError(f"{self._where(step)}: {call.name} has no operand for {step.name}")
        operand = self._operand(caller, names[place])
        if call.opcode != "while":
            return self._fill(time, step, arrays, operand, strict=True)
        if operand.keys() != arrays.keys():
            raise BadInputError(f"{self._where(step)}: the shape of {step.name} does not fit {call.name}")
        return {index: self._phi(time, index, array, [operand[index]]) for index, array in arrays.items()}

    def _while(self, time: int, step: hlo.Instruction, arrays: Mapping[ShapeIndex, hlo.ArrayShape]) -> Values:
        body = self._root_values(step.attributes.get("body", ""))
        init = self._operand(time, step.operands[0])
        if not init.keys() == body.keys() == arrays.keys():
            raise BadInputError(f"{self._where(step)}: the body of {step.name} does not give the loop's shape")
        return {index: self._phi(time, index, array, [init[index], body[index]]) for index, array in arrays.items()}

    def _conditional(self, time: int, step: hlo.Instruction, arrays: Mapping[ShapeIndex, hlo.ArrayShape]) -> Values:
        roots = [self._root_values(name) for name in step.called]
        if not roots or any(root.keys() != arrays.keys() for root in roots):
            raise BadInputError(f"{self._where(step)}: the branches of {step.name} do not give its shape")
        return {index: self._phi(time, index, array, [r[index] for r in roots]) for index, array in arrays.items()}

    def _call(self, time: int, step: hlo.Instruction, arrays: Mapping[ShapeIndex, hlo.ArrayShape]) -> Values:
        """What is called gives it; of an asynchronous operation: (operands, results, contexts), contexts its own."""
        passed: dict[ShapeIndex, int] = {}
        if step.opcode == "call":
            passed = dict(self._root_values(step.called[0])) if step.called else {}
            return self._fill(time, step, arrays, passed, strict=True)
        if not step.opcode.endswith("-done"):
            new = step.operands
            if step.opcode.endswith("-update") and new:
                passed = {index: value for index, value in self._operand(time, new[0]).items() if index[:1] <= (1,)}
                new = new[1:]
            for number, name in enumerate(new):
                passed.update({(0, number, *index): value for index, value in self._operand(time, name).items()})
            for callee in self.callees.get(time, ()):
                passed.update({(1, *index): value for index, value in self._root_values(callee).items()})
        elif step.operands:
            operand = self._operand(time, step.operands[0])
            passed = {index[1:]: value for index, value in operand.items() if index[:1] == (1,)}
        return self._fill(time, step, arrays, passed)

    def _close_loops(self) -> None:
        """Adds the body's result to the inputs of the loop parameters' phis."""
        for time, step in enumerate(self.schedule.steps):
            caller = self.callers[self.schedule.computation_of[time]]
            if step.opcode != "parameter" or caller is None or self.schedule.steps[caller].opcode != "while":
                continue
            results = self._root_values(self.schedule.steps[caller].attributes.get("body", ""))
            for index, number in self.at[time].items():
                self.phis[number].append(results[index])

    def _find_reads(self, values: list[Value], at: tuple[Values, ...]) -> None:
        given_back = {time: set(at[time].values()) for time in range(len(at)) if self._is_root(time)}
        for time, step in enumerate(self.schedule.steps):
            for number, name in enumerate(step.operands):
                for index, value in at[self.schedule.times[name]].items():
                    used = _reads(step.opcode, index) or value in given_back.get(time, ())
                    if used and not self._passes_in(time, step):
                        values[value].reads.append((time, number, index))

    def _passes_in(self, time: int, step: hlo.Instruction) -> bool:
        """Whether a call only passes its operands on to what it calls: HloLiveRange leaves its uses out."""
        return step.opcode == "call" and time in self.callees

    def _is_root(self, time: int) -> bool:
        body = self.schedule.bodies[self.schedule.computation_of[time]]
        return body.root.name == self.schedule.steps[time].name

    def _operand(self, time: int, name: str) -> Values:
        at = self.schedule.times.get(name)
        step = self.schedule.steps[time]
        same = at is not None and self.schedule.computation_of[at] == self.schedule.computation_of[time]
        if at is None or not same or at >= min(time, len(self.at)):
            raise BadInputError(f"{self._where(step)}: {step.name} reads {name}, which is not defined before it")
        return self.at[at]

    def _root_values(self, name: str) -> Values:
        number = self.number_of.get(name.strip().lstrip("%"))
        if number is None:
            return {}
        return self.at[self.schedule.times[self.schedule.bodies[number].root.name]]

    def _where(self, step: hlo.Instruction) -> str:
        return f"{self.source}:{step.line}"


def is_wrapped(opcode: str) -> bool:
    """Whether an opcode is async-start, async-update or async-done, or short for one, as reduce-scatter-start is."""
    return is_asynchronous(opcode) and opcode.rpartition("-")[0] not in _OF_ITS_OWN


def is_in_place_permute(step: hlo.Instruction) -> bool:
    """Whether a collective-permute, or its start, writes slices of its first operand into its second."""
    return len(step.operands) == 4


def _reads(opcode: str, index: ShapeIndex) -> bool:
    """Whether an instruction uses the array at this index of an operand (OpenXLA hlo_value.cc).

    A root, besides, uses what it gives back.
    """
    if opcode in _WHOLE_OPERAND:
        return not index
    return opcode not in ("tuple", "domain")


def _number(text: str, where: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise BadInputError(f"{where}: a number was expected, not {text[:40]!r}")
    return int(text)
