"""What a plan under construction occupies and costs; the game and the plan-building solvers share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from mallocgame.game.occupancy import Occupancy
from mallocgame.game.program import Program
from mallocgame.game.timeline import EVICTION, PREFETCH, Timeline
from mallocgame.plan.plan import Copy, CopyKind, Plan, Stay
from mallocgame.problem.reserved import fixed_reservations

ENOUGH = 1 - 1e-9
"""A supply that reaches this share of the demand counts as enough, so that rounding never moves a start."""

NEGLIGIBLE = 1e-15
"""Seconds of idle time that count as none: what rounding leaves of a sum that is 0."""


class Board:
    """Fast memory over time, the flags of definitions and uses, and the timeline.

    Attributes:
        fast_definitions: tensor ids written to fast memory.
        fast_uses: (tensor, use index) read from fast memory.
        stays: per tensor that has any, its stays in order of time.
    """

    def __init__(self, program: Program) -> None:
        target = program.problem.target
        self.program = program
        self.occupancy = Occupancy(target.fast_bytes, target.alignment, fixed_reservations(program.problem))
        self.timeline = Timeline(program)
        self.fast_definitions: set[int] = set()
        self.fast_uses: set[tuple[int, int]] = set()
        self.stays: dict[int, tuple[Stay, ...]] = {}

    def copy(self) -> Self:
        """An independent copy."""
        new = object.__new__(type(self))
        new.program = self.program
        new.occupancy, new.timeline = self.occupancy.copy(), self.timeline.copy()
        new.fast_definitions, new.fast_uses = self.fast_definitions.copy(), self.fast_uses.copy()
        new.stays = self.stays.copy()
        return new

    def reserve(self, stay: Stay) -> None:
        """Take the bytes of a stay."""
        tensor = self.program.problem.tensors[stay.tensor]
        self.occupancy.add(stay, tensor.size, tensor.group)
        self.stays[stay.tensor] = tuple(sorted((*self.stays.get(stay.tensor, ()), stay)))

    def release(self, stay: Stay) -> None:
        """Give the bytes of a stay back."""
        self.occupancy.remove(stay)
        self.stays[stay.tensor] = tuple(other for other in self.stays[stay.tensor] if other != stay)

    def set_definition(self, tensor: int, fast: bool) -> None:
        """Have a definition write fast memory (HBM), and evict what is an entry result; it must not do so yet."""
        value = self.program.problem.tensors[tensor]
        (self.fast_definitions.add if fast else self.fast_definitions.remove)(tensor)
        self.timeline.write_fast(value.time, value.defined_bytes if fast else -value.defined_bytes)
        eviction = self.program.eviction_of(value.group)
        if eviction is not None and eviction.tensor == tensor:
            self.set_copy(tensor, eviction.after, eviction.before, fast, EVICTION)

    def set_use(self, tensor: int, number: int, fast: bool) -> None:
        """Have a use read fast memory (HBM); it must not do so yet."""
        use = self.program.problem.tensors[tensor].uses[number]
        (self.fast_uses.add if fast else self.fast_uses.remove)((tensor, number))
        self.timeline.read_fast(use.time, use.accessed_bytes if fast else -use.accessed_bytes)

    def set_written(self, tensor: int, offset: int, present: bool) -> None:
        """Have a tensor written to fast memory and read there (in HBM); it must not be so yet."""
        program = self.program
        (self.reserve if present else self.release)(Stay(tensor, *program.lasting(tensor), offset))
        self.set_definition(tensor, present)
        for number in program.read_fast(tensor):
            self.set_use(tensor, number, present)

    def set_copy(self, tensor: int, after: int, before: int, present: bool, queue: int = PREFETCH) -> None:
        """Queue a copy of a tensor, or take it out of its queue."""
        demand = self.program.problem.tensors[tensor].size / self.program.problem.target.hbm_bandwidth
        change = self.timeline.add_copy if present else self.timeline.remove_copy
        change((after, tensor, before, demand), queue)

    def useful_start(self, tensor: int, before: int, earliest: int) -> int | None:
        """The latest start from which idle HBM time suffices for a prefetch, whether or not there is space.

        Walks back from the instruction at ``before`` and adds up the idle time that the queue leaves. Where the sum
        up to ``earliest`` does not suffice, the latest start that misses none of it.

        Args:
            tensor: what to copy.
            before: time of the use.
            earliest: the copy may start after the instruction at this time, or later.

        Returns:
            Time of the instruction after which the copy starts, or None where there is none from ``earliest`` on.
        """
        program, timeline = self.program, self.timeline
        times = program.times[program.computation[before]]
        last = program.latest[before]
        first = program.earliest_position(before, earliest)
        if last < first:
            return None
        problem = program.problem
        demand = problem.tensors[tensor].size / problem.target.hbm_bandwidth * ENOUGH
        idle, drained = timeline.idle, timeline.drained
        supply, best = 0.0, last
        for index in range(last, first, -1):
            time = times[index]
            left = idle[time] - drained[time]
            if left > NEGLIGIBLE:
                supply += left
                best = index - 1
                if supply >= demand:
                    break
        return times[best]

    def place_copy(
        self, tensor: int, before: int, earliest: int, until: int, also: Sequence[tuple[int, int]] = ()
    ) -> tuple[int, int] | None:
        """Start and offset of a prefetch: ``useful_start``, or the nearest later start for which a gap exists.

        A later start needs its bytes for a shorter time, so where one start has a gap all later ones have too.

        Args:
            tensor: what to copy.
            before: time of the use that waits for it.
            earliest: the copy may start after the instruction at this time, or later.
            until: time to which the fast copy stays, ``before`` or later.
            also: further intervals of times for which the tensor's group needs the same bytes.

        Returns:
            (after, offset), or None where even the latest start has no gap.
        """
        after = self.useful_start(tensor, before, earliest)
        if after is None:
            return None
        times = self.program.times[self.program.computation[before]]
        low, high = self.program.position[after], self.program.latest[before]
        offset = self.gap(tensor, after, until, also)
        if offset is not None:
            return after, offset
        low += 1
        while low < high:
            middle = (low + high) // 2
            if self.gap(tensor, times[middle], until, also) is None:
                low = middle + 1
            else:
                high = middle
        offset = self.gap(tensor, times[low], until, also) if low == high else None
        return None if offset is None else (times[low], offset)

    def gap(self, tensor: int, after: int, until: int, also: Sequence[tuple[int, int]] = ()) -> int | None:
        """Best fit for a stay from a copy that starts after ``after``; for its whole group where ``also`` is given."""
        value = self.program.problem.tensors[tensor]
        size = self.program.problem.groups[value.group].size if also else value.size
        return self.occupancy.best_fit([(after + 1, until), *also], size, value.group)

    def plan(self) -> Plan:
        """The plan so far; what is undecided is in HBM."""
        kinds: tuple[tuple[int, CopyKind], ...] = ((PREFETCH, "prefetch"), (EVICTION, "eviction"))
        copies = [
            Copy(tensor, kind, after, before)
            for queue, kind in kinds
            for after, tensor, before, _ in self.timeline.copies(queue)
        ]
        return Plan(
            fingerprint=self.program.problem.fingerprint,
            fast_definitions=frozenset(self.fast_definitions),
            fast_uses=frozenset(self.fast_uses),
            stays=tuple(sorted(stay for stays in self.stays.values() for stay in stays)),
            copies=tuple(sorted(copies, key=lambda copy: (copy.after, copy.tensor))),
        )
