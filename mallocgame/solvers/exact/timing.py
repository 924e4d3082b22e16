"""Model M of a plan as linear rows: what ``mallocgame.models.replay`` counts, and the stalls of its queues.

An instruction's elapsed time is a variable that has to be at least the compute time and the memory time; a solver that
makes the sum small takes no more. Likewise the queues of a computation may drain as they like within what is idle and
what has been started: first in, first out means only that a copy has arrived once all up to it has been drained.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf

from mallocgame.game.program import Program
from mallocgame.solvers.exact.model import ONE, ZERO, Linear, Model, total


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
    model.now = time
    if instruction.free:
        return Elapsed(ZERO, ZERO)
    bandwidth = target.hbm_bandwidth * model.unit
    compute = instruction.least_seconds / model.unit
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


def run(
    model: Model, idle: Sequence[Linear], spent: Sequence[Linear], queues: Sequence[Sequence[QueuedCopy]]
) -> Outcome:
    """Rows for the queues of one computation, of which there are at most two.

    Args:
        model: gets them.
        idle: at each position, the HBM time that the instruction (with what it calls) leaves idle.
        spent: at each position, how long it runs.
        queues: for each direction, what may be queued.
    """
    busy = [_Queue(model, copies) for copies in queues if copies]
    taken: list[Linear] = []
    stalls: list[Linear] = []
    for place in range(len(idle)):
        active = [queue for queue in busy if queue.first < place <= queue.last]
        if any(place in queue.due for queue in active):
            waits = [queue.drain() for queue in active]
            _share(model, active, waits, total(waits))
            stalls += waits
        for queue in active:
            queue.arrived[place] = queue.drained
        if active:
            parts = [queue.drain(model.bounds(idle[place])[1]) for queue in active]
            model.at_least(idle[place], total(parts))
            _share(model, active, parts, idle[place])
            taken += parts
        for queue in busy:
            queue.start(place)
    for queue in busy:
        queue.arrive_in_time()
    return Outcome(total((*spent, *stalls)), total((*idle, *(part * -1.0 for part in taken))))


class _Queue:
    """One direction.

    Attributes:
        copies: what may be queued.
        first, last: positions of the first start and of the last wait.
        due: positions where copies are waited for.
        drained: what has been drained so far.
        arrived: per position, what has been drained when its instruction begins.
    """

    def __init__(self, model: Model, copies: Sequence[QueuedCopy]) -> None:
        self.model, self.copies = model, copies
        self.first = min(place for copy in copies for place, _ in copy.starts)
        self.last = max(copy.before for copy in copies)
        self.due = {copy.before for copy in copies}
        self.everything = sum(copy.demand for copy in copies)
        self.started = self.drained = ZERO
        self.arrived: dict[int, Linear] = {}
        self._started_before: dict[int, Linear] = {}

    def drain(self, limit: float = inf) -> Linear:
        """How much of a span of time the queue takes: not more than has been started."""
        taking = self.model.time(0.0, max(0.0, min(limit, self.everything)))
        after = self.model.time(0.0, self.everything)
        self.model.equal(after, self.drained + taking)
        self.model.at_least(self.started, after)
        self.drained = after
        return taking

    def start(self, place: int) -> None:
        """The copies that start after the instruction at a position join."""
        self._started_before[place] = self.started
        joining = [start * copy.demand for copy in self.copies for at, start in copy.starts if at == place]
        if joining:
            more = self.model.time(0.0, self.everything)
            self.model.equal(more, total((self.started, *joining)))
            self.started = more

    def arrive_in_time(self) -> None:
        """Each copy has been drained by the instruction that waits for it, and so have all that are due before."""
        waiting: dict[int, list[Linear]] = {}
        starting: dict[int, list[tuple[int, Linear]]] = {}
        for copy in self.copies:
            for place, start in copy.starts:
                waiting.setdefault(copy.before, []).append(start * copy.demand)
                starting.setdefault(place, []).append((copy.tensor, start * copy.demand))
        needed = ZERO
        for place in sorted(self.due):
            more = self.model.time(0.0, self.everything)
            self.model.equal(more, total((needed, *waiting.get(place, ()))))
            self.model.at_least(self.arrived[place], more)
            needed = more
        firsts = sorted((min(place for place, _ in copy.starts), copy.demand) for copy in self.copies if copy.starts)
        most = [0.0, *accumulate(demand for _, demand in firsts)]
        for copy in self.copies:
            for place, start in copy.starts:
                beside = (demand for tensor, demand in starting[place] if tensor <= copy.tensor)
                queued = total((self._started_before[place], *beside))
                started = most[bisect_right(firsts, place, key=lambda first: first[0])]
                self.model.at_least(self.arrived[copy.before], queued - (ONE - start) * started)


def _share(model: Model, queues: Sequence[_Queue], parts: Sequence[Linear], span: Linear) -> None:
    """While both queues are busy each gets half: one takes more than half of a span only if the other gets empty."""
    if len(queues) < 2:
        return
    for part, other in zip(parts, reversed(queues), strict=True):
        empties = model.choice()
        most = max(0.0, model.bounds(part)[1])
        model.at_least(span + empties * (2.0 * most), part * 2.0)
        model.at_least((ONE - empties) * other.everything, other.started - other.drained)


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
