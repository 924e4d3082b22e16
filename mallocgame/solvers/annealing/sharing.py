"""Prefetches that start together: the compiler is told of them in one override, which makes flags short."""

from __future__ import annotations

from collections.abc import Iterator

from mallocgame.game.occupancy import Occupancy
from mallocgame.plan.plan import Plan, Stay
from mallocgame.problem.reserved import fixed_reservations
from mallocgame.solvers.annealing.decide import clear, commit, fetch, rollback
from mallocgame.solvers.annealing.plans import Piece, pieces_of, pieces_of_group, plan_of, size_of
from mallocgame.solvers.annealing.search import Decisions, Search

SLACK = 1e-4
"""Share by which all moves together may make the value larger."""

NEIGHBOURS = 16
"""Other starts that are tried for each start: as many before it as after it, the nearest first."""


def share_starts(search: Search, decisions: Decisions, plan: Plan) -> tuple[Decisions, Plan]:
    """The decisions with fewer times at which prefetches start, and their plan.

    What starts at one time for the same operand number, of whatever instructions, is one override, and so is often all
    that starts at one time. First the former, then the latter is moved, all of it, to another time at which there is
    such a start, if there are addresses for that and the value hardly grows. What is for few instructions goes first.
    All else keeps its address.

    Args:
        search: whose present plan becomes the result.
        decisions: what is in fast memory.
        plan: the same, with addresses.
    """
    search.set(decisions)
    places = _Places(search, plan)
    limit = search.value * (1 + SLACK)
    for by_operand in (True, False):
        _merge(search, places, _starts(search, by_operand), limit)
    shared = search.decisions()
    offsets = [places.of(piece) for piece in pieces_of(search.program, search.world, shared)]
    return shared, plan_of(search.program, search.world, shared, offsets, search.reach)


class _Places:
    """The addresses of what is in fast memory."""

    def __init__(self, search: Search, plan: Plan) -> None:
        self.search, problem = search, search.program.problem
        target = problem.target
        self.occupancy = Occupancy(target.fast_bytes, target.alignment, fixed_reservations(problem))
        self.offsets = {(stay.tensor, stay.start, stay.end): stay.offset for stay in plan.stays}
        for piece in pieces_of(search.program, search.world, search.decisions()):
            self._take(piece, self.of(piece))

    def of(self, piece: Piece) -> int:
        """Its offset in bytes."""
        return self.offsets[piece.stays[0]]

    def renewed(self, groups: set[int], before: Decisions) -> bool:
        """Give groups that were changed new addresses, as near to what they had as can be; False where there are none.

        Nothing is changed then.
        """
        program, world, now = self.search.program, self.search.world, self.search.decisions()
        old = [piece for group in groups for piece in pieces_of_group(program, world, before, group)]
        new = [piece for group in groups for piece in pieces_of_group(program, world, now, group)]
        had = {piece.servings: self.of(piece) for piece in old}
        for piece in old:
            self._give_back(piece)
        taken: list[Piece] = []
        for piece in new:
            offset = self._free_offset(piece, had.get(piece.servings))
            if offset is None:
                for other in taken:
                    self._give_back(other)
                for other in old:
                    self._take(other, had[other.servings])
                return False
            self._take(piece, offset)
            taken.append(piece)
        return True

    def _free_offset(self, piece: Piece, had: int | None) -> int | None:
        size, times = size_of(self.search.program, piece), [(start, end) for _, start, end in piece.stays]
        if had is not None and not self.occupancy.owners(times, had, had + size, piece.group):
            return had
        return self.occupancy.best_fit(times, size, piece.group)

    def _take(self, piece: Piece, offset: int) -> None:
        size = size_of(self.search.program, piece)
        for stay in piece.stays:
            self.offsets[stay] = offset
            self.occupancy.add(Stay(*stay, offset), size, piece.group)

    def _give_back(self, piece: Piece) -> None:
        for stay in piece.stays:
            self.occupancy.remove(Stay(*stay, self.offsets.pop(stay)))


def _merge(search: Search, places: _Places, starts: dict[tuple[int, int], list[int]], limit: float) -> None:
    """Move starts to other ones of their kind."""
    for slot, kind in sorted(starts, key=lambda start: (len(starts[start]), start)):
        servings = starts[slot, kind]
        for other in _neighbours(slot, [at for (at, of), there in starts.items() if of == kind and there]):
            if _move(search, places, servings, other, limit):
                starts[other, kind] += servings
                starts[slot, kind] = []
                break


def _starts(search: Search, by_operand: bool) -> dict[tuple[int, int], list[int]]:
    """The servings whose copy starts after a slot, by slot and kind: the number of the operand that waits, or 0."""
    found: dict[tuple[int, int], list[int]] = {}
    servings = [(tensor, serving) for tensor, of in enumerate(search.program.servings) for serving in of]
    for number, ((id, serving), slot) in enumerate(zip(servings, search.world.servings["plan"].tolist(), strict=True)):
        if slot >= 0:
            operand = search.program.problem.tensors[id].uses[serving.first].operands[0][0]
            found.setdefault((slot, operand if by_operand else 0), []).append(number)
    return found


def _neighbours(slot: int, others: list[int]) -> Iterator[int]:
    """The nearest other slots on both sides."""
    for side in ([other for other in others if other < slot], [other for other in others if other > slot]):
        yield from sorted(side, key=lambda other: abs(other - slot))[: NEIGHBOURS // 2]


def _move(search: Search, places: _Places, servings: list[int], slot: int, limit: float) -> bool:
    """Have the copies of some servings start after another slot; nothing is changed where that is not possible."""
    world, before, groups = search.world, search.decisions(), set[int]()
    for serving in servings:
        plan = world.servings["plan"].copy()
        low, high = world.servings[["earliest", "latest"]][serving]
        group = int(world.tensors["group"][world.uses["tensor"][world.servings["low"][serving]]])
        if not low <= slot <= high or world.slots["time"][slot] < search.over(serving, plan)[0]:
            rollback(world)
            return False
        plan[serving] = slot
        clear(world, group)
        fetch(world, group, plan[search.servings_of(group)])
        groups.add(group)
    if search.value > limit or not places.renewed(groups, before):
        rollback(world)
        return False
    commit(world)
    return True
