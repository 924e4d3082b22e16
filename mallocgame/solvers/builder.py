"""A plan as one decision per alias group, changed group by group in any order, and always valid.

The game walks the program; solvers that decide by priority or by trial need to change any group at any time. Both share
``mallocgame.game.board``, so space, starts and times mean the same in both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mallocgame.game.board import Board
from mallocgame.game.program import Program
from mallocgame.plan.plan import Plan, Stay
from mallocgame.problem.schema import Problem


@dataclass(frozen=True, slots=True)
class Fetch:
    """One prefetch and the consecutive servings (``Program.servings`` of the tensor) that it is for.

    Attributes:
        after: the copy starts after the instruction at this time.
        first: index of the first serving; the one that waits for the copy.
        last: index of the last serving.
        offset: of the stay, in bytes.
    """

    after: int
    first: int
    last: int
    offset: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What a plan does with one group: pinned at an offset, or its first tensor fetched, else in HBM."""

    pin: int | None = None
    fetches: tuple[Fetch, ...] = ()

    @property
    def served(self) -> frozenset[int]:
        """Indices of the servings that prefetches are for."""
        return frozenset(number for fetch in self.fetches for number in range(fetch.first, fetch.last + 1))


HBM = Decision()


class Builder:
    """A valid plan under change.

    Attributes:
        program: tables of the problem.
        board: space and times of the present plan.
        decisions: per group.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.program = Program(problem)
        self.board = Board(self.program)
        self.decisions = [HBM] * len(problem.groups)
        self._journal: list[tuple[int, Decision]] = []
        self.board.timeline.remember()

    @property
    def total(self) -> float:
        """Seconds of the present plan under model M."""
        self.board.timeline.refresh()
        return self.board.timeline.total

    def plan(self) -> Plan:
        """The present plan."""
        self.board.timeline.refresh()
        return self.board.plan()

    def commit(self) -> None:
        """Keep all changes since the last commit."""
        self.board.timeline.refresh()
        self.board.timeline.remember()
        self._journal.clear()

    def rollback(self) -> None:
        """Undo all changes since the last commit."""
        changes = list(reversed(self._journal))
        self._journal.clear()
        for group, _ in changes:
            self._change(group, HBM)
        for group, decision in dict(changes).items():
            self._change(group, decision)
        self._journal.clear()
        self.board.timeline.recall()

    def clear(self, group: int) -> None:
        """Put a group into HBM."""
        self._change(group, HBM)

    def restore(self, decisions: list[Decision]) -> None:
        """Take over the decisions of another moment, and commit."""
        for group in range(len(decisions)):
            if self.decisions[group] != decisions[group]:
                self._change(group, HBM)
        for group, decision in enumerate(decisions):
            self._change(group, decision)
        self.commit()

    def pin(self, group: int) -> bool:
        """Pin a group that is in HBM; False, and no change, where that is not allowed or does not fit."""
        pinnable = self.program.pinnable[group] or self.program.evictions[group] is not None
        if not pinnable or self.keep_conflicts(group, ()):
            return False
        values = self.problem.groups[group]
        offset = self.board.occupancy.best_fit(self.pin_intervals(group), values.size, group)
        if offset is None:
            return False
        self._change(group, Decision(pin=offset))
        return True

    def pin_intervals(self, group: int) -> list[tuple[int, int]]:
        """The times that a pinned group occupies."""
        return [self.program.lasting(id) for id in self.problem.groups[group].tensors]

    def fetch(self, group: int, served: Collection[int], starts: dict[int, int] | None = None) -> bool:
        """Prefetch the first tensor of a group in HBM for these servings, once for each run of neighbours.

        Args:
            group: of one tensor, or with an entry parameter that is updated in place.
            served: indices of the servings.
            starts: times after which the prefetch for the serving with this index starts; others by
                ``Board.place_copy``.

        Returns:
            False, and no change, where that is not allowed or does not fit.
        """
        tensor = self.problem.groups[group].tensors[0]
        if any(self.program.servings[tensor][number].earliest is None for number in served):
            return False
        if self.keep_conflicts(group, served):
            return False
        fetches: tuple[Fetch, ...] = ()
        for first, last in _runs(served):
            fetch = self._place(tensor, first, last, (starts or {}).get(first))
            if fetch is None:
                self._change(group, HBM)
                return False
            fetches = (*fetches, fetch)
            self._change(group, Decision(fetches=fetches))
            self.board.timeline.refresh()
        return True

    def keep_conflicts(self, group: int, served: Collection[int]) -> set[int]:
        """Groups whose present decisions forbid, by the keep rule, these servings (to pin, if there are none)."""
        tensors, program = self.problem.tensors, self.program
        found: set[int] = set()
        if served:
            tensor = self.problem.groups[group].tensors[0]
            for _, outputs in program.kept(tensor, self._uses_of(tensor, served)):
                found.update(tensors[id].group for id in outputs if self._is_fast(id))
        for id in self._moved(group, served):
            for tensor, number in program.uses_at[tensors[id].time]:
                decision = self.decisions[tensors[tensor].group]
                if decision.fetches and tensor == self.problem.groups[tensors[tensor].group].tensors[0]:
                    kept = dict(program.kept(tensor, self._uses_of(tensor, decision.served)))
                    if id in kept.get(number, ()):
                        found.add(tensors[tensor].group)
        return found

    def _moved(self, group: int, served: Collection[int]) -> tuple[int, ...]:
        """The tensors of a group that anything of is in fast memory where these servings are (if none: is pinned)."""
        members = self.problem.groups[group].tensors
        if not served or len(members) == 1:
            return members
        return (members[0], *self.program.carried(members[0], max(served)))

    def _is_fast(self, tensor: int) -> bool:
        """Whether anything of a tensor is in fast memory at present."""
        group = self.problem.tensors[tensor].group
        decision = self.decisions[group]
        return decision != HBM and tensor in self._moved(group, decision.served)

    def _uses_of(self, tensor: int, served: Collection[int]) -> set[int]:
        """Indices of the uses that are fast where these servings are."""
        servings = self.program.servings[tensor]
        runs = ((servings[first].first, servings[last].last) for first, last in _runs(served))
        return {number for first, last in runs for number in range(first, last + 1)}

    def copyable(self, group: int) -> list[int]:
        """Indices of the servings that prefetches can be for; none for groups of several tensors."""
        if not self.program.single[group]:
            return []
        servings = self.program.servings[self.problem.groups[group].tensors[0]]
        return [number for number, serving in enumerate(servings) if serving.earliest is not None]

    def _place(self, tensor: int, first: int, last: int, after: int | None) -> Fetch | None:
        servings = self.program.servings[tensor]
        before, until, earliest = servings[first].before, servings[last].before, servings[first].earliest
        assert earliest is not None
        if len({self.program.computation[serving.before] for serving in servings[first : last + 1]}) > 1:
            return None
        stays = self.board.stays.get(tensor)
        if stays:
            earliest = max(earliest, stays[-1].end)
        also = [self.program.lasting(id) for id in self.program.carried(tensor, last)]
        if after is None:
            placed = self.board.place_copy(tensor, before, earliest, until, also)
            return None if placed is None else Fetch(placed[0], first, last, placed[1])
        if not earliest <= after < before:
            return None
        offset = self.board.gap(tensor, after, until, also)
        return None if offset is None else Fetch(after, first, last, offset)

    def _change(self, group: int, decision: Decision) -> None:
        """Replace a decision by one that fits."""
        old = self.decisions[group]
        if old == decision:
            return
        self._journal.append((group, old))
        self._apply(group, old, False)
        self._apply(group, decision, True)
        self.decisions[group] = decision

    def _apply(self, group: int, decision: Decision, present: bool) -> None:
        if decision.pin is not None:
            for tensor in self.problem.groups[group].tensors:
                self.board.set_written(tensor, decision.pin, present)
        for fetch in decision.fetches:
            self._apply_fetch(self.problem.groups[group].tensors[0], fetch, present)

    def _apply_fetch(self, tensor: int, fetch: Fetch, present: bool) -> None:
        servings, board = self.program.servings[tensor], self.board
        stay = Stay(tensor, fetch.after + 1, servings[fetch.last].before, fetch.offset)
        (board.reserve if present else board.release)(stay)
        board.set_copy(tensor, fetch.after, servings[fetch.first].before, present)
        for number in range(servings[fetch.first].first, servings[fetch.last].last + 1):
            board.set_use(tensor, number, present)
        for carried in self.program.carried(tensor, fetch.last):
            board.set_written(carried, fetch.offset, present)


def _runs(numbers: Collection[int]) -> Iterator[tuple[int, int]]:
    """(first, last) of each maximal run of consecutive numbers, ascending."""
    ordered = sorted(numbers)
    first = 0
    for index in range(1, len(ordered) + 1):
        if index == len(ordered) or ordered[index] != ordered[index - 1] + 1:
            yield ordered[first], ordered[index - 1]
            first = index
