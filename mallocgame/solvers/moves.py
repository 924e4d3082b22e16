"""The moves of the local search: each changes a ``Builder`` somewhere, at random, to another valid plan."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from mallocgame.game.program import Program
from mallocgame.solvers.builder import Builder, Decision

UNIFORM_SHARE = 0.3
"""Share of the draws in which every group is equally likely; in the others it is its possible saving that counts."""

RELIEF_SHARE = 0.1
"""How much idle HBM time counts beside time saved, when groups are drawn."""

EVICTION_TRIALS = 3
"""Offsets looked at before other groups are put out of the way of one."""

REFILLS = 3
"""Groups that are tried in the space that another one has left."""


class Moves:
    """Random changes of one builder.

    Attributes:
        groups: those that can be in fast memory at all.
    """

    def __init__(self, builder: Builder, rng: random.Random) -> None:
        self.builder, self.rng = builder, rng
        program = builder.program
        self._servings = [builder.copyable(group) for group in range(len(program.pinnable))]
        self.groups = [group for group, servings in enumerate(self._servings) if program.pinnable[group] or servings]
        self._weights = list(accumulate(possible_saving(program, group) for group in self.groups))
        self._index = {group: index for index, group in enumerate(self.groups)}
        spans = [builder.pin_intervals(group) for group in self.groups]
        self._starts = np.array([min(start for start, _ in span) for span in spans], np.int64)
        self._ends = np.array([max(end for _, end in span) for span in spans], np.int64)

    def change(self) -> None:
        """One random move; it may turn out to change nothing."""
        group = self._draw()
        decision = self.builder.decisions[group]
        choice = self.rng.random()
        if decision == Decision():
            self._enter(group, force=choice < 0.5)
        elif decision.fetches and choice < 0.6:
            self._refetch(group, decision)
        elif choice < 0.8:
            self._leave(group)
        else:
            self.builder.clear(group)
            self._enter(group, force=True)

    def _draw(self) -> int:
        if self.rng.random() < UNIFORM_SHARE or not self._weights[-1]:
            return self.rng.choice(self.groups)
        return self.rng.choices(self.groups, cum_weights=self._weights)[0]

    def _enter(self, group: int, force: bool) -> None:
        """Bring a group that is in HBM into fast memory; by force, where others have to make way for it."""
        pinned = self.builder.program.pinnable[group] and (not self._servings[group] or self.rng.random() < 0.7)
        served = frozenset() if pinned else self._some_servings(group)
        if self._place(group, served) or not force:
            return
        evicted = self._make_way(group, served)
        if self._place(group, served):
            for other, decision in evicted:
                self._replace(other, decision)

    def _place(self, group: int, served: frozenset[int]) -> bool:
        return self.builder.fetch(group, served) if served else self.builder.pin(group)

    def _replace(self, group: int, decision: Decision) -> None:
        """Place a group again that had to make way: as it was, or the other way."""
        if self._place(group, decision.served):
            return
        if decision.fetches:
            self.builder.pin(group)
        elif self._servings[group]:
            self.builder.fetch(group, self._some_servings(group))

    def _make_way(self, group: int, served: frozenset[int]) -> list[tuple[int, Decision]]:
        """Clear what the keep rule forbids beside it, and at the offset, of a few, where the fewest bytes are taken."""
        builder, occupancy = self.builder, self.builder.board.occupancy
        intervals = self._intervals(group, served)
        size = builder.problem.groups[group].size
        offsets = [offset for offset in occupancy.tops(intervals, group) if offset + size <= occupancy.capacity]
        best: list[int] | None = None
        for offset in self.rng.sample(offsets, min(EVICTION_TRIALS, len(offsets))):
            owners = occupancy.owners(intervals, offset, offset + size, group)
            if best is None or self._bytes(owners) < self._bytes(best):
                best = owners
        in_the_way = builder.keep_conflicts(group, served).union(best or ())
        evicted = [(owner, builder.decisions[owner]) for owner in sorted(in_the_way)]
        for owner, _ in evicted:
            builder.clear(owner)
        return evicted

    def _bytes(self, groups: Sequence[int]) -> int:
        return sum(self.builder.problem.groups[group].size for group in groups)

    def _intervals(self, group: int, served: frozenset[int]) -> list[tuple[int, int]]:
        if not served:
            return self.builder.pin_intervals(group)
        tensor = self.builder.problem.groups[group].tensors[0]
        servings = self.builder.program.servings[tensor]
        first, last = servings[min(served)], servings[max(served)]
        assert first.earliest is not None
        start = self.builder.board.useful_start(tensor, first.before, first.earliest)
        assert start is not None
        return [(start + 1, last.before)]

    def _leave(self, group: int) -> None:
        """Put a group into HBM, and try some of its neighbours in its place."""
        self.builder.clear(group)
        candidates = [other for other in self._near(group) if self.builder.decisions[other] == Decision()]
        for other in self.rng.sample(candidates, min(REFILLS, len(candidates))):
            self._enter(other, force=False)

    def _near(self, group: int) -> list[int]:
        """Other groups whose life overlaps this one's."""
        at = self._index[group]
        near = (self._starts <= self._ends[at]) & (self._ends >= self._starts[at])
        near[at] = False
        return [self.groups[index] for index in near.nonzero()[0].tolist()]

    def _some_servings(self, group: int) -> frozenset[int]:
        """All copyable servings, or one, or a run of them."""
        servings = self._servings[group]
        choice = self.rng.random()
        if choice < 0.4:
            return frozenset(servings)
        first = self.rng.randrange(len(servings))
        return frozenset(servings[first : first + 1 if choice < 0.7 else self.rng.randint(first + 1, len(servings))])

    def _refetch(self, group: int, decision: Decision) -> None:
        """Change one thing about the prefetches of a group: a serving more or less, or one start."""
        starts = {fetch.first: fetch.after for fetch in decision.fetches}
        served = set(decision.served)
        if self.rng.random() < 0.5:
            served ^= {self.rng.choice(self._servings[group])}
        fetch = self.rng.choice(decision.fetches)
        starts[fetch.first] = self._other_start(group, fetch.first, fetch.after)
        if self.rng.random() < 0.3:
            starts = {}
        self.builder.clear(group)
        if served:
            self.builder.fetch(group, served, starts)

    def _other_start(self, group: int, number: int, after: int) -> int:
        """A start somewhat earlier or later than ``after``, as far away as a power of two or nearer."""
        program = self.builder.program
        serving = program.servings[self.builder.problem.groups[group].tensors[0]][number]
        assert serving.earliest is not None
        times = program.times[program.computation[serving.before]]
        first = program.earliest_position(serving.before, serving.earliest)
        last = program.latest[serving.before]
        reach = 2 ** self.rng.randrange(max(1, (last - first + 1).bit_length()))
        index = program.position[after] + self.rng.randint(-reach, reach)
        return times[min(max(index, first), last)]


def possible_saving(program: Program, group: int) -> float:
    """Weight of a group: seconds that it can save itself, and a share of the HBM time that it leaves to copies."""
    target = program.problem.target
    saved = 0.0
    for id in program.problem.groups[group].tensors:
        value = program.problem.tensors[id]
        sites = [(value.time, value.defined_bytes), *((use.time, use.accessed_bytes) for use in value.uses)]
        for time, site_bytes in sites:
            instruction = program.problem.instructions[time]
            if not instruction.free:
                relief = site_bytes / target.hbm_bandwidth
                spare = instruction.total_bytes / target.hbm_bandwidth - instruction.compute_seconds
                saving = max(RELIEF_SHARE * relief, min(spare, relief))
                saved += saving * program.executions(program.computation[time])
    return saved
