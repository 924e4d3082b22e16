"""A final scheduled HLO text, seen from the problem that it was compiled from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mallocgame.plan.plan import CopyKind
from mallocgame.problem.dataflow import Dataflow, analyse
from mallocgame.problem.schedule import Schedule, flatten
from mallocgame.problem.schema import Problem, ShapeIndex
from mallocgame.system.errors import BadInputError
from xla_dump_parser import hlo
from xla_dump_parser.shapes import padded_bytes, walk_shape

COPIES = ("copy", "slice", "dynamic-slice")
"""What asynchronous copies do; ``copy`` the whole operand, the others a part."""

_PART = (1,)
"""Index, in the result of an asynchronous start, of what it writes: (operands, result, context)."""

CONCAT = "ConcatBitcast"
"""Target of the custom call that joins the slices of a prefetch; it does nothing."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One asynchronous copy of the text, a slice counting for itself.

    Attributes:
        start: name of the instruction that starts it.
        done: name of the one that waits for it; None if nothing does.
        operand: name of what it copies from.
        kind: ``"eviction"`` if it leaves fast memory, else ``"prefetch"``.
        size: bytes that move.
        start_time: of ``start`` in the final schedule.
        done_time: of ``done``; None if nothing waits.
        computation: index into the computations of the final schedule.
    """

    start: str
    done: str | None
    operand: str
    kind: CopyKind
    size: int
    start_time: int
    done_time: int | None
    computation: int


class FinalText:
    """Lookups in a final text.

    Args:
        problem: what was compiled.
        module: the final text.

    Attributes:
        schedule: the final text's own schedule; its times are not the problem's.
        times: time in the problem, by instruction name.

    Raises:
        BadInputError: the module is not scheduled, does not hold together, or shares no instruction with the problem.
    """

    def __init__(self, problem: Problem, module: hlo.HloModule) -> None:
        self.problem = problem
        self.module = module
        self.fast = problem.target.fast_space
        self.schedule: Schedule = flatten(module)
        self.times = {instruction.name: time for time, instruction in enumerate(problem.instructions)}
        if not any(step.name in self.times for step in self.schedule.steps):
            raise BadInputError(f"{module.source}: no instruction of {problem.module} is in this text")
        self._spaces: dict[str, dict[ShapeIndex, int]] = {}

    @cached_property
    def dataflow(self) -> Dataflow:
        """Which value is at each position of the final text."""
        return analyse(self.schedule, self.module.source)

    def step(self, name: str) -> hlo.Instruction | None:
        """The instruction of this name, if it is in the schedule."""
        time = self.schedule.times.get(name)
        return None if time is None else self.schedule.steps[time]

    def is_fast(self, name: str, index: ShapeIndex) -> bool:
        """Whether the array at this index of an instruction's result is in fast memory."""
        spaces = self._spaces.get(name)
        if spaces is None:
            step = self.step(name)
            arrays = () if step is None else walk_shape(step.shape)
            spaces = {at: array.layout.memory_space if array.layout else 0 for at, array in arrays}
            self._spaces[name] = spaces
        return spaces.get(index) == self.fast

    def reads_fast(self, step: hlo.Instruction, operands: tuple[tuple[int, ShapeIndex], ...]) -> float:
        """Which share of these operands of an instruction is in fast memory, from 0 to 1."""
        fast = sum(n < len(step.operands) and self.is_fast(step.operands[n], index) for n, index in operands)
        return fast / len(operands) if operands else 0.0

    def computation_name(self, time: int) -> str:
        """Name of the computation of the instruction at a time of the final schedule."""
        return self.schedule.computations[self.schedule.computation_of[time]].name

    @cached_property
    def transfers(self) -> tuple[Transfer, ...]:
        """The asynchronous copies, in order of their starts."""
        done_of: dict[str, int] = {}
        for time, step in enumerate(self.schedule.steps):
            if step.opcode.endswith("-done") and step.operands:
                done_of[step.operands[0]] = time
        found = []
        for time, step in enumerate(self.schedule.steps):
            what = self._copied(step)
            if what is not None:
                found.append(self._transfer(time, step, what, done_of.get(step.name)))
        return tuple(found)

    def _copied(self, step: hlo.Instruction) -> str | None:
        """Which of COPIES an instruction starts, in either form of the text."""
        what = step.opcode.removesuffix("-start") if step.opcode.endswith("-start") else ""
        if what == "async" and step.called and step.called[0] in self.module.computations:
            what = self.module.computations[step.called[0]].root.opcode
        return what if what in COPIES and step.operands else None

    def _transfer(self, time: int, step: hlo.Instruction, what: str, done: int | None) -> Transfer:
        operand = step.operands[0]
        source = self.step(operand)
        done_name = None if done is None else self.schedule.steps[done].name
        if what == "copy":
            moved = [] if source is None else [array for _, array in walk_shape(source.shape)]
        else:
            moved = [array for index, array in walk_shape(step.shape) if index[:1] == _PART]
        return Transfer(
            start=step.name,
            done=done_name,
            operand=operand,
            kind="eviction" if self.is_fast(operand, ()) else "prefetch",
            size=sum(padded_bytes(array) for array in moved),
            start_time=time,
            done_time=done,
            computation=self.schedule.computation_of[time],
        )

    @cached_property
    def _tensors(self) -> dict[tuple[str, ShapeIndex], int]:
        return {(tensor.instruction, tensor.index): tensor.id for tensor in self.problem.tensors}

    def tensor_at(self, name: str, index: ShapeIndex) -> int | None:
        """Which tensor of the problem is at a position of the final text, copies of it included; None if unknown."""
        time = self.schedule.times.get(name)
        return None if time is None else self._tensor(self.dataflow.at[time].get(index))

    def origin(self, name: str, index: ShapeIndex) -> str | None:
        """Name of the instruction that waits for, joins or makes the array at a position; None if there is none."""
        number = self.dataflow.at[self.schedule.times[name]].get(index)
        if number is None:
            return None
        value = self.dataflow.values[number]
        holders = (self.schedule.steps[time] for time, at in value.positions if not at)
        done = next((step.name for step in holders if step.opcode.endswith("-done")), None)
        return done or self.schedule.steps[value.time].name

    def _tensor(self, value: int | None) -> int | None:
        pending, seen = [value], {value}
        while pending:
            number = pending.pop()
            if number is None:
                continue
            positions = self.dataflow.values[number].positions
            for time, index in positions:
                tensor = self._tensors.get((self.schedule.steps[time].name, index))
                if tensor is not None:
                    return tensor
            sources = [source for source in self._sources(number) if source not in seen]
            seen.update(sources)
            pending.extend(reversed(sources))
        return None

    def _sources(self, number: int) -> list[int | None]:
        """The values that this one is a copy, a part or a merge of."""
        value = self.dataflow.values[number]
        if value.inputs:
            return list(value.inputs)
        step = self.schedule.steps[value.time]
        caller = self.schedule.computations[self.schedule.computation_of[value.time]].caller
        if caller is not None and self._copied(self.schedule.steps[caller]) is not None:
            step = self.schedule.steps[caller]
        elif step.opcode.endswith("-done") and step.operands:
            step = self.step(step.operands[0]) or step
        known = self._copied(step) is not None or is_concat(step)
        return [self.dataflow.at[self.schedule.times[name]].get(()) for name in step.operands[:1] if known]


def is_concat(step: hlo.Instruction) -> bool:
    """Whether an instruction only joins slices that have been prefetched side by side."""
    return step.opcode == "custom-call" and step.attributes.get("custom_call_target", "").strip('"') == CONCAT
