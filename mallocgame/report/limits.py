"""What the time that is left goes to, and why tensors are still in HBM."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, get_args

import numpy as np

from mallocgame.models.replay import Model, Replay, Row
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem, Tensor

Limit = Literal["compute", "HBM", "fast memory", "links", "waiting"]
"""What bounds an instruction: its own computing (under E all cycles of the emitter), the bandwidth of HBM or of fast
memory, the links between chips, or the wait for a copy."""

Reason = Literal["crosses", "compiler", "capacity", "bandwidth", "left"]

_RESERVED = -1
"""Owner of what instructions reserve; alias groups have numbers from 0."""

REASONS: dict[Reason, str] = {
    "crosses": "parameters and results that have to cross HBM once, whatever the plan",
    "compiler": "the compiler does not allow them in fast memory there, or no override can ask for it",
    "capacity": "there is no room in fast memory at that time",
    "bandwidth": "no idle HBM time before the use could hide the copy",
    "left": "there is room, and idle HBM time: this plan does not use them",
}


@dataclass(frozen=True, slots=True)
class Remaining:
    """An operand or an output in HBM of an instruction that HBM bounds, under M.

    Attributes:
        time: of the instruction.
        tensor: which.
        writes: whether the instruction writes it; else it reads it.
        seconds: of HBM time for its bytes, all runs together.
        reason: why it is there.
        detail: the same in words, where there is more to say.
    """

    time: int
    tensor: Tensor
    writes: bool
    seconds: float
    reason: Reason
    detail: str


def seconds_by_limit(problem: Problem, replay: Replay) -> dict[Limit, float]:
    """A replay's total, by what bounds each instruction.

    Where memory bounds an instruction under M, its HBM time counts as HBM and the rest as fast memory. Under E, whose
    cycles hold both, an instruction counts as HBM where its own HBM bytes take as long as it does.
    """
    found: dict[Limit, float] = dict.fromkeys(get_args(Limit), 0.0)
    found["waiting"] = replay.stall
    for row in replay.rows:
        seconds, hbm = row.runs * row.seconds, row.runs * row.hbm_seconds
        if is_memory_bound(problem, row, replay.model):
            found["HBM"] += hbm
            found["fast memory"] += seconds - hbm
        else:
            found["links" if _waits_for_links(problem, row) else "compute"] += seconds
    return found


def _waits_for_links(problem: Problem, row: Row) -> bool:
    """Whether the links bound an instruction, rather than what it computes."""
    instruction = None if row.time is None else problem.instructions[row.time]
    return instruction is not None and instruction.link_seconds > instruction.compute_seconds


def is_memory_bound(problem: Problem, row: Row, model: Model) -> bool:
    """Whether an instruction takes longer than it computes."""
    if model == "M" and row.time is not None:
        return row.seconds > problem.instructions[row.time].least_seconds
    return 0.0 < row.seconds <= row.hbm_seconds


def remaining(problem: Problem, plan: Plan, replay: Replay) -> tuple[Remaining, ...]:
    """What is still in HBM where HBM bounds an instruction, most seconds first.

    Args:
        problem: the program.
        plan: its placement.
        replay: of it, under M.
    """
    room = _Room(problem, plan, replay)
    found = []
    for row in replay.rows:
        if row.time is None or row.hbm_seconds <= 0.0 or not is_memory_bound(problem, row, "M"):
            continue
        for tensor, number, size in _sites(problem, plan, row.time):
            seconds = row.runs * size / problem.target.hbm_bandwidth
            reason, detail = room.why(tensor, number, row.time)
            if seconds > 0.0:
                found.append(Remaining(row.time, tensor, number is None, seconds, reason, detail))
    return tuple(sorted(found, key=lambda site: (-site.seconds, site.time, site.tensor.id)))


def _sites(problem: Problem, plan: Plan, time: int) -> Iterator[tuple[Tensor, int | None, float]]:
    """(tensor, number of its use or None for its definition, bytes) of what an instruction has in HBM."""
    for id, number in problem.uses_at[time]:
        if (id, number) not in plan.fast_uses:
            yield problem.tensors[id], number, problem.tensors[id].uses[number].accessed_bytes
    for id in problem.definitions_at[time]:
        if id not in plan.fast_definitions:
            yield problem.tensors[id], None, problem.tensors[id].defined_bytes


class _Room:
    """Looks for room in fast memory and for idle HBM time."""

    def __init__(self, problem: Problem, plan: Plan, replay: Replay) -> None:
        self._problem = problem
        taken = [(one.offset, one.size, one.start, one.end, _RESERVED) for one in problem.reserved]
        for stay in plan.stays:
            tensor = problem.tensors[stay.tensor]
            taken.append((stay.offset, tensor.size, stay.start, stay.end, tensor.group))
        columns = np.array(sorted(taken), np.int64).reshape(-1, 5).T
        self._low, size, self._start, self._end, self._group = columns
        self._high = self._low + size
        idle = [0.0] * len(problem.instructions)
        for row in replay.rows:
            if row.time is not None:
                idle[row.time] = max(0.0, row.seconds - row.hbm_seconds - row.copy_seconds)
        self._idle = list(accumulate(idle, initial=0.0))

    def why(self, tensor: Tensor, number: int | None, time: int) -> tuple[Reason, str]:
        """Why a use, or the definition where ``number`` is None, is in HBM."""
        if tensor.size > self._problem.target.fast_bytes:
            return "capacity", "larger than fast memory"
        if tensor.fixed is not None:
            return "compiler", tensor.fixed
        if number is None:
            if tensor.hbm_definition is not None:
                return "crosses", tensor.hbm_definition
            return self._for_life(tensor)
        earliest = tensor.uses[number].copy_after
        if tensor.hbm_definition is None:
            life = self._for_life(tensor)
            copied = earliest is not None and self._for_copy(tensor, earliest, time)[0] == "left"
            return ("left", "") if copied else life
        if earliest is None:
            return "compiler", "no override can ask for a prefetch for this use"
        return self._for_copy(tensor, earliest, time)

    def _for_life(self, tensor: Tensor) -> tuple[Reason, str]:
        """To be written to fast memory, a tensor needs room for its whole life, with all that share its buffer."""
        group = self._problem.groups[tensor.group]
        members = [self._problem.tensors[id] for id in group.tensors]
        for member in members:
            if member.fixed is not None or member.hbm_definition is not None:
                reason = member.fixed or member.hbm_definition
                return "compiler", f"it shares its buffer with {member.name}, which has to be in HBM ({reason})"
        start, end = min(member.live[0] for member in members), max(member.live[1] for member in members)
        if self._has_room(tensor.group, group.size, start, end):
            return "left", ""
        return "capacity", "no room for its whole life"

    def _for_copy(self, tensor: Tensor, earliest: int, time: int) -> tuple[Reason, str]:
        """The latest start from which the copy would be hidden, and room from there on."""
        demand = tensor.size / self._problem.target.hbm_bandwidth
        start = bisect_right(self._idle, self._idle[time] - demand) - 1
        if start <= earliest:
            if len(tensor.uses) == 1:
                return "crosses", "read once, and no idle HBM time before that could hide the copy"
            return "bandwidth", ""
        if self._has_room(tensor.group, tensor.size, start, time):
            return "left", ""
        return "capacity", "no room while it would be copied"

    def _has_room(self, group: int, size: int, start: int, end: int) -> bool:
        """Whether some address is free for ``size`` bytes from ``start`` to ``end``, both included."""
        there = (self._start <= end) & (self._end >= start) & (self._group != group)
        above = np.append(self._low[there], self._problem.target.fast_bytes)
        free_from = np.maximum.accumulate(np.append(0, self._high[there]))
        return bool((above - free_from >= size).any())
