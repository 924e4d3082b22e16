"""What each instruction gains or loses by a plan, and which of its operands and outputs moved."""

from __future__ import annotations

from dataclasses import dataclass

from mallocgame.models.replay import Model
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem, Tensor
from mallocgame.report.comparison import Comparison
from mallocgame.report.timeline import lay_out


@dataclass(frozen=True, slots=True)
class Move:
    """An operand or an output that is in the other memory under the plan.

    Attributes:
        tensor: which.
        writes: whether the instruction writes it; else it reads it.
        bytes: that one run of the instruction reads or writes of it.
        fast: whether it is in fast memory under the plan.
    """

    tensor: Tensor
    writes: bool
    bytes: float
    fast: bool


@dataclass(frozen=True, slots=True)
class Gain:
    """One instruction under one model; seconds of all its runs.

    Attributes:
        time: of the instruction.
        name: likewise.
        opcode: likewise.
        runs: how often it runs under the plan.
        before: seconds before the plan, waiting included.
        after: seconds under the plan, waiting included.
        stall_before: the part of ``before`` that waits for copies.
        stall_after: likewise.
        moves: what moved.
    """

    time: int
    name: str
    opcode: str
    runs: int
    before: float
    after: float
    stall_before: float
    stall_after: float
    moves: tuple[Move, ...]

    @property
    def seconds(self) -> float:
        """Seconds gained; negative for a loss."""
        return self.before - self.after


def gains_of(comparison: Comparison, model: Model) -> tuple[Gain, ...]:
    """Every instruction whose time differs, the largest gain first and the largest loss last."""
    problem = comparison.problem
    before = lay_out(problem, comparison.before.replays[model])
    after = lay_out(problem, comparison.after.replays[model])
    found = []
    for time, instruction in enumerate(problem.instructions):
        gain = Gain(
            time=time,
            name=instruction.name,
            opcode=instruction.opcode,
            runs=after.runs[time],
            before=before.seconds[time] + before.stall[time],
            after=after.seconds[time] + after.stall[time],
            stall_before=before.stall[time],
            stall_after=after.stall[time],
            moves=moves_at(problem, comparison.before.plan, comparison.after.plan, time),
        )
        if gain.before != gain.after:
            found.append(gain)
    return tuple(sorted(found, key=lambda gain: (-gain.seconds, gain.time)))


def moves_at(problem: Problem, before: Plan, after: Plan, time: int) -> tuple[Move, ...]:
    """The operands, then the outputs of an instruction that two plans have in different memories."""
    found = []
    for id, number in problem.uses_at[time]:
        fast = (id, number) in after.fast_uses
        if fast != ((id, number) in before.fast_uses):
            tensor = problem.tensors[id]
            found.append(Move(tensor, False, tensor.uses[number].accessed_bytes, fast))
    for id in problem.definitions_at[time]:
        fast = id in after.fast_definitions
        if fast != (id in before.fast_definitions):
            found.append(Move(problem.tensors[id], True, problem.tensors[id].defined_bytes, fast))
    return tuple(found)
