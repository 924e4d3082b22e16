"""XLA's own placement as a compact reimplementation of its memory space assignment foresees it: an estimate.

As OpenXLA's algorithm.cc, with libtpu's constants: groups by priority, each for good before the next; a value is made
and kept in fast memory as far as its uses are near enough and there is room, else it is evicted, and prefetched for
later uses at the start that is nearest to the preferred one and finds room and copy time. One entry parameter is there
from the beginning (the cross-program prefetch); its copy is not counted, so that XLA is foreseen rather too quick than
too slow. Left out: slices, repacking, retries, the limit on copies in flight.

What comes out need not be what our game can do, as it evicts; its times under E and M can be replayed.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

from mallocgame.game.occupancy import Occupancy
from mallocgame.game.program import Program, Serving
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.problem import priority
from mallocgame.problem.costs.elapsed import m_elapsed
from mallocgame.problem.evictions import WHILE_EXECUTIONS, loops
from mallocgame.problem.placement import starts_in_hbm
from mallocgame.problem.schema import Problem, Tensor

PREFERRED, LONGEST = 2.0, 8.0
"""How much work a prefetch is to have beside it, in its own copy time; and how long a value may wait for a use, in copy
times of the whole fast memory."""

INEFFICIENT = 0.5
"""A copy is not made for uses that read less than this share of its bytes."""

STARTS = 64
"""Starts of a prefetch that are tried, the nearest to the preferred one first."""


def foresee(problem: Problem) -> Plan:
    """The placement that XLA is expected to choose by default; its addresses are free of overlaps."""
    return _Assignment(problem).run()


class _Assignment:
    def __init__(self, problem: Problem) -> None:
        self.problem, self.program = problem, Program(problem)
        target = problem.target
        self.occupancy = Occupancy(target.fast_bytes, target.alignment)
        self.idle = [self._elapsed(time) for time in range(len(problem.instructions))]
        nests = [loops(problem, instruction.computation) for instruction in problem.instructions]
        self.runs = [float(WHILE_EXECUTIONS) ** nest for nest in nests]
        weighted = (seconds * runs for seconds, runs in zip(self.idle, self.runs, strict=True))
        self.sums = [0.0, *accumulate(weighted)]
        self.longest = LONGEST * target.fast_bytes / target.hbm_bandwidth
        self.definitions: set[int] = set()
        self.uses: set[tuple[int, int]] = set()
        self.stays: list[Stay] = []
        self.copies: list[Copy] = []

    def run(self) -> Plan:
        whole = self._whole_program()
        for group in priority.order(self.problem):
            if group != whole:
                self._place(group)
        return Plan(
            self.problem.fingerprint,
            frozenset(self.definitions),
            frozenset(self.uses),
            tuple(sorted(self.stays)),
            tuple(sorted(self.copies, key=lambda copy: (copy.after, copy.tensor))),
        )

    def _elapsed(self, time: int) -> float:
        """Seconds with everything in HBM, all of them MSA's for copies; those of callers are their callees'."""
        instruction = self.problem.instructions[time]
        if instruction.free or self.program.children[time]:
            return 0.0
        return m_elapsed(self.problem.target, instruction.compute_seconds, instruction.total_bytes)

    def _between(self, after: int, before: int) -> float:
        """Seconds of the instructions between two times, by the loops around the later one."""
        work = self.sums[max(before, after + 1)] - self.sums[after + 1]
        return work / self.runs[before]

    def _whole_program(self) -> int | None:
        """The group of the largest entry parameter that fits, which is in fast memory from the beginning."""
        fitting = [
            tensor
            for tensor in self.problem.tensors
            if tensor.hbm_definition == "entry parameter" and tensor.fixed is None and self.program.servings[tensor.id]
            if tensor.size <= self.problem.target.fast_bytes and len(self._members(tensor)) == 1
            if all(self.program.computation[use.time] == self.program.entry for use in tensor.uses)
            if INEFFICIENT * tensor.size <= sum(use.accessed_bytes for use in tensor.uses)
        ]
        if not fitting:
            return None
        chosen = max(fitting, key=lambda tensor: (tensor.size, -tensor.id))
        last = max(use.time for use in chosen.uses)
        self._stay(Stay(chosen.id, chosen.time, last, 0), chosen.group)
        self.uses.update((chosen.id, number) for number in range(len(chosen.uses)))
        return chosen.group

    def _members(self, tensor: Tensor) -> tuple[int, ...]:
        return self.problem.groups[tensor.group].tensors

    def _stay(self, stay: Stay, group: int) -> None:
        self.occupancy.add(stay, self.problem.groups[group].size, group)
        self.stays.append(stay)

    def _place(self, group: int) -> None:
        members = [self.problem.tensors[id] for id in self.problem.groups[group].tensors]
        pinnable = self.program.pinnable[group] or self.program.evictions[group] is not None
        if pinnable and all(map(self._is_near, members)) and self._pin(group, members):
            return
        if len(members) > 1:
            return
        served = self._keep_as_long(members[0]) if pinnable else -1
        self._prefetch(members[0], served)

    def _is_near(self, tensor: Tensor) -> bool:
        times = [tensor.time, *sorted(self._needed(use.time) for use in tensor.uses)]
        return all(self._between(*pair) < self.longest for pair in pairwise(times))

    def _needed(self, time: int) -> int:
        """When a use at this time needs its value: a loop or conditional as soon as what it calls begins."""
        called = self.program.children[time]
        return min((self.problem.computations[number].start for number in called), default=time)

    def _pin(self, group: int, members: list[Tensor]) -> bool:
        intervals = [self.program.lasting(tensor.id) for tensor in members]
        offset = self.occupancy.best_fit(intervals, self.problem.groups[group].size, group)
        if offset is None:
            return False
        for tensor, (first, last) in zip(members, intervals, strict=True):
            self._stay(Stay(tensor.id, first, last, offset), group)
            self.definitions.add(tensor.id)
            self.uses.update((tensor.id, number) for number in self.program.read_fast(tensor.id))
        eviction = self.program.evictions[group]
        if eviction is not None:
            self.copies.append(Copy(eviction.tensor, "eviction", eviction.after, eviction.before))
        return True

    def _keep_as_long(self, tensor: Tensor) -> int:
        """Make a value in fast memory for as many of its first uses as are near and have room; the last of these."""
        own = self.program.computation[tensor.time]
        for number in range(len(tensor.uses) - 1, -1, -1):
            last = tensor.uses[number].time
            if self.program.computation[last] != own or not self._between(tensor.time, last) < self.longest:
                continue
            offset = self.occupancy.best_fit([(tensor.time, last)], tensor.size, tensor.group)
            if offset is not None and number < len(tensor.uses) - 1:
                self._stay(Stay(tensor.id, tensor.time, last, offset), tensor.group)
                self.definitions.add(tensor.id)
                self.uses.update((tensor.id, use) for use in range(number + 1))
                self.copies.append(Copy(tensor.id, "eviction", tensor.time, last))
                return number
        return -1

    def _prefetch(self, tensor: Tensor, served: int) -> None:
        """Bring a value in HBM to fast memory for each use after ``served``, unless a copy can wait for it."""
        if INEFFICIENT * tensor.size > sum(use.accessed_bytes for use in tensor.uses[served + 1 :]):
            return
        stay: Stay | None = None
        produced = not starts_in_hbm(self.problem, tensor)
        for serving in self.program.servings[tensor.id]:
            if serving.first <= served or serving.carries:
                continue
            if stay is not None and self._between(stay.end, serving.before) < self.longest:
                longer = Stay(tensor.id, stay.start, serving.before, stay.offset)
                if self.occupancy.is_free((stay.end, longer.end), stay.offset, stay.offset + tensor.size, tensor.group):
                    self.occupancy.remove(stay)
                    self.stays.remove(stay)
                    stay = longer
                    self._serve(tensor, serving, stay)
                    continue
            if serving.earliest is None or (produced and serving.first == 0):
                continue
            stay = self._fetched(tensor, serving)
            if stay is not None:
                self._serve(tensor, serving, stay)

    def _serve(self, tensor: Tensor, serving: Serving, stay: Stay) -> None:
        self._stay(stay, tensor.group)
        self.uses.update((tensor.id, number) for number in range(serving.first, serving.last + 1))

    def _fetched(self, tensor: Tensor, serving: Serving) -> Stay | None:
        """The stay of a prefetch for a serving, whose copy is made; None where none has time and room."""
        assert serving.earliest is not None
        target, before = self.problem.target, serving.before
        copy_seconds = tensor.size / target.hbm_bandwidth
        use = tensor.uses[serving.last]
        instruction = self.problem.instructions[use.time]
        all_hbm = self.idle[use.time]
        saved = all_hbm - m_elapsed(
            target,
            instruction.compute_seconds,
            instruction.total_bytes,
            min(use.accessed_bytes, instruction.total_bytes),
        )
        least = copy_seconds - (saved if all_hbm else 0.0)
        times = self.program.times[self.program.computation[before]]
        low, high = self.program.earliest_position(before, serving.earliest), self.program.latest[before]
        starts = [
            (abs(work - PREFERRED * copy_seconds), -after, after)
            for after in times[low : high + 1]
            if least <= (work := self._between(after, before)) <= self.longest
        ]
        for _, _, after in sorted(starts)[:STARTS]:
            offset = self.occupancy.best_fit([(after + 1, before)], tensor.size, tensor.group)
            if offset is not None and self._take(after, before, least):
                self.copies.append(Copy(tensor.id, "prefetch", after, before))
                return Stay(tensor.id, after + 1, before, offset)
        return None

    def _take(self, after: int, before: int, seconds: float) -> bool:
        """Take copy time between two times, the earliest first; False, and nothing, where there is not enough."""
        own = self.program.computation[before]
        between = [
            time for time in range(after + 1, before) if self.idle[time] and self.program.computation[time] == own
        ]
        if sum(self.idle[time] for time in between) < seconds:
            return False
        for time in between:
            taken = min(seconds, self.idle[time])
            self.idle[time] -= taken
            seconds -= taken
        return True
