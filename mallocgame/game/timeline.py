"""Model M of a growing plan: instruction times, the two queues of copies, and the stalls they cause.

The semantics are written down in ``rules`` (section "Time"). A change marks the part of its computation that it may
touch; ``refresh`` simulates only those parts again, then the callers of a computation whose total or idle time changed.
"""

from __future__ import annotations

from bisect import bisect_left
from math import fsum
from typing import Any, Self

from mallocgame.game.program import Program

QueuedCopy = tuple[int, int, int, float]
"""(after, tensor, before, demand in seconds); sorting these gives the order of a queue."""

PREFETCH, EVICTION = 0, 1
"""Numbers of the queues, HBM -> fast and fast -> HBM."""

Backlog = tuple[float, float]
"""Seconds of the whole HBM bandwidth that each queue still needs."""


def drain(backlog: Backlog, seconds: float) -> tuple[Backlog, float]:
    """Copy for at most ``seconds``; while both queues have something left, each gets half of the bandwidth.

    Returns:
        What is left of the queues, and the seconds used.
    """
    one, other = backlog
    shared = min(one, other)
    if seconds < 2 * shared:
        return (one - seconds / 2, other - seconds / 2), seconds
    alone = min(one + other - 2 * shared, seconds - 2 * shared)
    left = max(one, other) - shared - alone
    return ((left, 0.0) if one > other else (0.0, left)), 2 * shared + alone


def wait(backlog: Backlog, queue: int, until: float) -> tuple[Backlog, float]:
    """Copy until no more than ``until`` seconds are left in one of the queues.

    Returns:
        What is left of the queues, and the seconds that took.
    """
    need, other = backlog[queue] - until, backlog[1 - queue]
    if need <= 0.0:
        return backlog, 0.0
    left = max(0.0, other - need)
    return ((until, left) if queue == PREFETCH else (left, until)), need + min(need, other)


class Timeline:
    """Times of every instruction and computation under model M, all in seconds.

    Attributes:
        elapsed: per time, how long the instruction runs (a caller: its callees).
        idle: per time, HBM time that the instruction leaves idle.
        drained: per time, how much of ``idle`` the queues of its own computation take.
        stall: per time, the wait for copies just before the instruction.
        backlog: per time, what is still queued when the instruction has ended and the copies after it have started.
        totals: per computation, the sum of ``elapsed`` and ``stall`` over one run.
    """

    def __init__(self, program: Program) -> None:
        count = len(program.position)
        self.program = program
        self._read = [0.0] * count
        self._write = [0.0] * count
        self.elapsed = [0.0] * count
        self.idle = [0.0] * count
        self.drained = [0.0] * count
        self.stall = [0.0] * count
        self.backlog: list[Backlog] = [(0.0, 0.0)] * count
        self.totals = [0.0] * len(program.times)
        self._left = [0.0] * len(program.times)
        self._queues: list[list[tuple[QueuedCopy, ...]]] = [[() for _ in program.times] for _ in (PREFETCH, EVICTION)]
        self._due: list[dict[int, tuple[QueuedCopy, ...]]] = [{}, {}]
        self._dirty: dict[int, set[tuple[int, int]]] = {}
        self._past: list[tuple[list[Any], int, Any]] | None = None
        for computation in sorted(range(len(program.times)), key=lambda number: -program.depth[number]):
            for time in program.times[computation]:
                self.elapsed[time], self.idle[time] = self._step(time)
            self._sum(computation)

    def copy(self) -> Self:
        """An independent copy; nothing may be waiting for ``refresh``."""
        new = object.__new__(type(self))
        new.program = self.program
        new._read, new._write = self._read.copy(), self._write.copy()
        new.elapsed, new.idle = self.elapsed.copy(), self.idle.copy()
        new.drained, new.stall, new.backlog = self.drained.copy(), self.stall.copy(), self.backlog.copy()
        new.totals, new._left = self.totals.copy(), self._left.copy()
        new._queues, new._due = [queues.copy() for queues in self._queues], [due.copy() for due in self._due]
        new._dirty, new._past = {}, None
        return new

    @property
    def total(self) -> float:
        """Seconds that the entry computation takes, up to the rounding of many small changes."""
        return self.totals[self.program.entry]

    def exact_total(self) -> float:
        """``total``, summed afresh."""
        self._sum(self.program.entry)
        return self.totals[self.program.entry]

    def copies(self, queue: int) -> list[QueuedCopy]:
        """The copies of all computations in one of the queues, in the plan's order."""
        return sorted(copy for copies in self._queues[queue] for copy in copies)

    def read_fast(self, time: int, bytes_: float) -> None:
        """The instruction at ``time`` reads ``bytes_`` more (less, if negative) from fast memory."""
        self._read[time] += bytes_
        self._mark(time, time)

    def write_fast(self, time: int, bytes_: float) -> None:
        """The instruction at ``time`` writes ``bytes_`` more (less, if negative) to fast memory."""
        self._write[time] += bytes_
        self._mark(time, time)

    def add_copy(self, copy: QueuedCopy, queue: int = PREFETCH) -> None:
        """Queue a copy."""
        queues, due = self._queues[queue], self._due[queue]
        computation = self.program.computation[copy[2]]
        copies = queues[computation]
        at = bisect_left(copies, copy)
        queues[computation] = (*copies[:at], copy, *copies[at:])
        due[copy[2]] = (*due.get(copy[2], ()), copy)
        self._mark(copy[0], copy[2])

    def remove_copy(self, copy: QueuedCopy, queue: int = PREFETCH) -> None:
        """Take a copy out."""
        queues, due = self._queues[queue], self._due[queue]
        computation = self.program.computation[copy[2]]
        copies = queues[computation]
        at = bisect_left(copies, copy)
        queues[computation] = (*copies[:at], *copies[at + 1 :])
        others = tuple(other for other in due.pop(copy[2]) if other != copy)
        if others:
            due[copy[2]] = others
        self._mark(copy[0], copy[2])

    def refresh(self) -> None:
        """Simulate what changes have marked."""
        program = self.program
        while self._dirty:
            computation = max(self._dirty, key=lambda number: program.depth[number])
            ranges = sorted(self._dirty.pop(computation))
            before = self.totals[computation], self._left[computation]
            self._simulate(computation, ranges)
            caller = program.caller[computation]
            if caller is None or before == (self.totals[computation], self._left[computation]):
                continue
            self._mark(caller, caller)

    def remember(self) -> None:
        """From now on, keep what is needed to ``recall`` the times of this moment."""
        self._past = []

    def recall(self) -> None:
        """Set all times to those of the last ``remember``; the caller has undone the changes themselves."""
        assert self._past is not None
        for values, index, value in reversed(self._past):
            values[index] = value
        self._past = []
        self._dirty.clear()

    def _mark(self, first_time: int, last_time: int) -> None:
        computation = self.program.computation[last_time]
        span = self.program.position[first_time], self.program.position[last_time]
        self._dirty.setdefault(computation, set()).add(span)

    def _set(self, values: list[Any], index: int, value: Any) -> None:
        if self._past is not None:
            self._past.append((values, index, values[index]))
        values[index] = value

    def _simulate(self, computation: int, ranges: list[tuple[int, int]]) -> None:
        """Run the marked ranges of instructions, and each time on until the queue is as it was before."""
        times = self.program.times[computation]
        for first, last in ranges:
            if first == last:
                self._set_step(times[first], computation)
        done = -1
        for first, last in ranges:
            if last > done:
                done = self._run(computation, max(first, done + 1), last)
        if self.program.problem.computations[computation].kind == "branch":
            self._sum(computation)

    def _run(self, computation: int, first: int, last: int) -> int:
        """Run instructions from index ``first`` on, past ``last``, until the queues are as before.

        Returns:
            The index of the last one.
        """
        times = self.program.times[computation]
        all_idle, all_drained, all_stalls, backlogs = self.idle, self.drained, self.stall, self.backlog
        backlog = backlogs[times[first - 1]] if first else (0.0, 0.0)
        queues = [_Started(queues[computation], times[first]) for queues in self._queues]
        for index in range(first, len(times)):
            time = times[index]
            stall = drained = 0.0
            if backlog != (0.0, 0.0):
                for queue, started in enumerate(queues):
                    if time in self._due[queue]:
                        backlog, waited = wait(backlog, queue, started.behind(self._due[queue][time]))
                        stall += waited
                backlog, drained = drain(backlog, all_idle[time])
            one, other = queues[PREFETCH].start(time), queues[EVICTION].start(time)
            if one or other:
                backlog = backlog[0] + one, backlog[1] + other
            if stall != all_stalls[time]:
                self._set(self.totals, computation, self.totals[computation] + stall - all_stalls[time])
                self._set(all_stalls, time, stall)
            if drained != all_drained[time]:
                self._set(self._left, computation, self._left[computation] - drained + all_drained[time])
                self._set(all_drained, time, drained)
            if backlog != backlogs[time]:
                self._set(backlogs, time, backlog)
            elif index >= last:
                return index
        return len(times)

    def _set_step(self, time: int, computation: int) -> None:
        elapsed, idle = self._step(time)
        if elapsed != self.elapsed[time]:
            self._set(self.totals, computation, self.totals[computation] + elapsed - self.elapsed[time])
            self._set(self.elapsed, time, elapsed)
        if idle != self.idle[time]:
            self._set(self._left, computation, self._left[computation] + idle - self.idle[time])
            self._set(self.idle, time, idle)

    def _step(self, time: int) -> tuple[float, float]:
        """Elapsed and idle time of one step: its own, and its callees' if it is a caller."""
        instruction = self.program.problem.instructions[time]
        elapsed = idle = 0.0
        if not instruction.free:
            target = self.program.problem.target
            read, write = self._read[time], self._write[time]
            hbm = (instruction.total_bytes - read - write) / target.hbm_bandwidth
            memory = read / target.fast_read_bandwidth + write / target.fast_write_bandwidth + hbm
            elapsed = max(instruction.least_seconds, memory)
            idle = max(0.0, elapsed - hbm)
        children = self.program.children[time]
        return self._with_children(elapsed, idle, children) if children else (elapsed, idle)

    def _with_children(self, elapsed: float, idle: float, children: tuple[int, ...]) -> tuple[float, float]:
        slowest: tuple[float, float] | None = None
        for number in children:
            child = self.program.problem.computations[number]
            total, left = child.trips * self.totals[number], child.trips * max(0.0, self._left[number])
            if child.kind != "branch":
                elapsed, idle = elapsed + total, idle + left
            elif slowest is None or total > slowest[0]:
                slowest = total, left
        return (elapsed, idle) if slowest is None else (elapsed + slowest[0], idle + slowest[1])

    def _sum(self, computation: int) -> None:
        times = self.program.times[computation]
        total = fsum([self.elapsed[t] for t in times] + [self.stall[t] for t in times])
        self._set(self.totals, computation, total)
        left = fsum([self.idle[t] for t in times] + [-self.drained[t] for t in times])
        self._set(self._left, computation, left)


class _Started:
    """How far a queue has started in a run of its computation."""

    def __init__(self, copies: tuple[QueuedCopy, ...], time: int) -> None:
        self.copies = copies
        self.count = bisect_left(copies, (time,))
        self._next = copies[self.count][0] if self.count < len(copies) else -1

    def start(self, time: int) -> float:
        """Start the copies after the instruction at ``time``; returns their demand in seconds."""
        demand = 0.0
        while time == self._next:
            demand += self.copies[self.count][3]
            self.count += 1
            self._next = self.copies[self.count][0] if self.count < len(self.copies) else -1
        return demand

    def behind(self, due: tuple[QueuedCopy, ...]) -> float:
        """Seconds queued behind the last of the copies that are due."""
        last = bisect_left(self.copies, max(due))
        return sum(copy[3] for copy in self.copies[last + 1 : self.count])
