"""Model M of a plan as linear rows: what ``mallocgame.replay`` counts, and the stalls of its queues.

An instruction's elapsed time is a variable that has to be at least the compute time and the memory time; a solver that
makes the sum small takes no more. Likewise the queue of a computation may drain as it likes within what is idle and
what has been started: first in, first out means only that a copy has arrived once all up to it has been drained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mallocgame.exact.model import ONE, ZERO, Linear, Model, total
from mallocgame.game.program import Program


@dataclass(frozen=True, slots=True)
class Elapsed:
    """An instruction by itself, in units: how long it runs, and how long its own bytes need HBM."""

    seconds: Linear
    hbm: Linear


@dataclass(frozen=True, slots=True)
class QueuedCopy:
    """A copy that may be.

    Attributes:
        tensor: tensor id; the queue's order among copies that start together.
        before: position, in its computation, of the instruction that waits for it.
        demand: units of the whole HBM bandwidth.
        starts: (position that it starts after, 1 where it does).
    """

    tensor: int
    before: int
    demand: float
    starts: tuple[tuple[int, Linear], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of a computation, in units: how long it takes, and the HBM time that nothing took."""

    seconds: Linear
    left: Linear


def elapsed(model: Model, program: Program, time: int, read: Linear, written: Linear) -> Elapsed:
    """Rows for one instruction.

    Args:
        model: gets them.
        program: tables of the problem.
        time: of the instruction.
        read: bytes that it reads from fast memory.
        written: bytes that it writes there.
    """
    instruction, target = program.problem.instructions[time], program.problem.target
    if instruction.free:
        return Elapsed(ZERO, ZERO)
    bandwidth = target.hbm_bandwidth * model.unit
    compute = instruction.compute_seconds / model.unit
    crossing = (total((read, written)) * -1.0 + instruction.total_bytes) * (1.0 / bandwidth)
    low, high = model.bounds(crossing)
    hbm = crossing
    if low < 0.0:
        hbm = model.time(0.0, max(0.0, high))
        model.at_least(hbm, crossing)
    fast = read * (1.0 / (target.fast_read_bandwidth * model.unit))
    memory = total((fast, written * (1.0 / (target.fast_write_bandwidth * model.unit)), hbm))
    least, most = model.bounds(memory)
    if most <= compute or not memory.terms:
        return Elapsed(Linear({}, max(compute, memory.constant)), hbm)
    seconds = model.time(max(compute, least), max(compute, most))
    model.at_least(seconds, _tightened(model, memory, compute))
    return Elapsed(seconds, hbm)


def _tightened(model: Model, memory: Linear, compute: float) -> Linear:
    """The same where all variables are 0 or 1, more between: one choice saves no more than what is above compute."""
    above = memory.constant - compute
    if above <= 0.0 or not all(model.boolean[variable] and value < 0.0 for variable, value in memory.terms.items()):
        return memory
    return Linear({variable: max(value, -above) for variable, value in memory.terms.items()}, memory.constant)


def run(model: Model, idle: Sequence[Linear], spent: Sequence[Linear], copies: Sequence[QueuedCopy]) -> Outcome:
    """Rows for the queue of one computation.

    Args:
        model: gets them.
        idle: at each position, the HBM time that the instruction (with what it calls) leaves idle.
        spent: at each position, how long it runs.
        copies: what may be queued.
    """
    if not copies:
        return Outcome(total(spent), total(idle))
    everything = sum(copy.demand for copy in copies)
    first = min(place for copy in copies for place, _ in copy.starts)
    last = max(copy.before for copy in copies)
    due = {copy.before for copy in copies}
    started, drained, taken, stalls = ZERO, ZERO, [], []
    started_before: dict[int, Linear] = {}
    arrived: dict[int, Linear] = {}
    for place in range(first, last + 1):
        if place > first:
            stall = model.time(0.0, everything) if place in due else ZERO
            after_stall = model.time(0.0, everything)
            model.equal(after_stall, total((drained, stall)))
            model.at_least(started, after_stall)
            stalls.append(stall)
            arrived[place] = drained = after_stall
            most = max(0.0, model.bounds(idle[place])[1])
            taking = model.time(0.0, min(most, everything))
            model.at_least(idle[place], taking)
            model.at_least(started, drained + taking)
            taken.append(taking)
            drained = drained + taking
        started_before[place] = started
        joining = [start * copy.demand for copy in copies for at, start in copy.starts if at == place]
        if joining:
            more = model.time(0.0, everything)
            model.equal(more, total((started, *joining)))
            started = more
    for copy in copies:
        _arrive(model, copy, copies, started_before, arrived[copy.before])
    return Outcome(total((*spent, *stalls)), total((*idle, *(taking * -1.0 for taking in taken))))


def _arrive(
    model: Model,
    copy: QueuedCopy,
    copies: Sequence[QueuedCopy],
    started_before: dict[int, Linear],
    drained: Linear,
) -> None:
    """By the instruction that waits for a copy, all that queues up to it has been drained."""
    for place, start in copy.starts:
        beside = [
            other_start * other.demand
            for other in copies
            if other.tensor <= copy.tensor
            for at, other_start in other.starts
            if at == place
        ]
        queued = total((started_before[place], *beside))
        most = sum(other.demand for other in copies if any(at <= place for at, _ in other.starts))
        model.at_least(drained, queued - (ONE - start) * most)


def slowest(model: Model, branches: Sequence[Outcome]) -> Outcome:
    """Of several branches the slowest runs; of equally slow ones any, here."""
    if len(branches) == 1:
        return branches[0]
    limits = [model.bounds(branch.seconds) for branch in branches]
    most = max(high for _, high in limits)
    seconds = model.time(max(low for low, _ in limits), most)
    left = model.time(0.0, max(0.0, *(model.bounds(branch.left)[1] for branch in branches)))
    chosen = [model.choice() for _ in branches]
    model.equal(total(chosen), 1.0)
    for branch, choice, (low, _) in zip(branches, chosen, limits, strict=True):
        other = ONE - choice
        model.at_least(seconds, branch.seconds)
        model.at_least(branch.seconds + other * (most - low), seconds)
        model.at_least(branch.left + other * model.bounds(left)[1], left)
    return Outcome(seconds, left)
