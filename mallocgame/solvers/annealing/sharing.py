"""Prefetches that start together: the compiler is told of them in one override, which makes flags short."""

from __future__ import annotations

from collections.abc import Iterator

from mallocgame.solvers.annealing.decide import clear, commit, fetch, rollback
from mallocgame.solvers.annealing.search import Decisions, Search

SLACK = 1e-4
"""Share by which all moves together may make the value larger."""

NEIGHBOURS = 4
"""Other starts that are tried for each start: as many before it as after it, the nearest first."""


def share_starts(search: Search, decisions: Decisions) -> Decisions:
    """The decisions with fewer times at which prefetches start.

    What starts at one time is moved, all of it, to another time at which something starts, if it fits there and the
    value hardly grows. Times with few starts go first.

    Args:
        search: whose present plan becomes the result.
        decisions: that fit into its capacity.
    """
    search.set(decisions)
    limit = search.value * (1 + SLACK)
    starts = _starts(search)
    for slot in sorted(starts, key=lambda slot: (len(starts[slot]), slot)):
        for other in _neighbours(slot, [other for other, servings in starts.items() if servings]):
            if _move(search, starts[slot], other, limit):
                starts[other] += starts[slot]
                starts[slot] = []
                break
    return search.decisions()


def _starts(search: Search) -> dict[int, list[int]]:
    """The servings whose copy starts after a slot, by slot."""
    found: dict[int, list[int]] = {}
    for serving, slot in enumerate(search.world.servings["plan"].tolist()):
        if slot >= 0:
            found.setdefault(slot, []).append(serving)
    return found


def _neighbours(slot: int, others: list[int]) -> Iterator[int]:
    """The nearest other slots on both sides."""
    for side in ([other for other in others if other < slot], [other for other in others if other > slot]):
        yield from sorted(side, key=lambda other: abs(other - slot))[: NEIGHBOURS // 2]


def _move(search: Search, servings: list[int], slot: int, limit: float) -> bool:
    """Have the copies of some servings start after another slot; nothing is changed where that is not possible."""
    world = search.world
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
    if (world.used > search.capacity).any() or search.value > limit:
        rollback(world)
        return False
    commit(world)
    return True
