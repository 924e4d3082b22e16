"""Addresses for decisions: the plan that they mean."""

from __future__ import annotations

from collections.abc import Mapping

from mallocgame.game.program import Program
from mallocgame.native.search import Decisions
from mallocgame.native.world import FETCHED, PINNED, STAYS, UNSERVED, World
from mallocgame.packing import Buffer, Packing, pack
from mallocgame.plan import Copy, Plan, Stay


def packed_plan(
    program: Program, world: World, decisions: Decisions, *, time_limit: float, seed: int
) -> tuple[Plan | None, Packing]:
    """The plan of some decisions, with the offsets that the packer finds; None if it finds none.

    All stays of a group have one offset.

    Args:
        program: of the problem.
        world: its arrays.
        decisions: what is to be in fast memory.
        time_limit: seconds for the packer.
        seed: of the packer.
    """
    target = program.problem.target
    stays = stays_of(program, world, decisions)
    buffers = [
        _buffer(
            str(group), int(world.groups["size"][group]), target.alignment, [(start, end) for _, start, end in found]
        )
        for group, found in stays.items()
    ]
    packing = pack(buffers, target.fast_bytes, time_limit=time_limit, seed=seed)
    if packing.offsets is None:
        return None, packing
    offsets = dict(zip(stays, packing.offsets, strict=True))
    return plan_of(program, world, decisions, offsets), packing


def stays_of(program: Program, world: World, decisions: Decisions) -> dict[int, list[tuple[int, int, int]]]:
    """For each group in fast memory, (tensor, first time, last time) of its stays, inclusive."""
    found: dict[int, list[tuple[int, int, int]]] = {}
    for group, kind in enumerate(decisions.kind.tolist()):
        if kind == PINNED:
            members = program.problem.groups[group].tensors
            eviction = program.evictions[group]
            found[group] = [(id, *program.problem.tensors[id].live) for id in members]
            if eviction is not None:
                found[group] = [
                    (id, start, eviction.before if id == eviction.tensor else end) for id, start, end in found[group]
                ]
        elif kind == FETCHED:
            id = int(world.groups["fetched"][group])
            found[group] = [(id, after + 1, until) for _, _, after, until in _runs(program, world, decisions, id)]
    return found


def _runs(program: Program, world: World, decisions: Decisions, id: int) -> list[tuple[int, int, int, int]]:
    """(first serving, last serving, time after which its copy starts, last time of the stay) of a tensor's copies."""
    first = int(world.tensors["serving_first"][id])
    runs: list[tuple[int, int, int, int]] = []
    for number, serving in enumerate(program.servings[id]):
        start = int(decisions.plan[first + number])
        if start == STAYS:
            runs[-1] = (runs[-1][0], number, runs[-1][2], serving.before)
        elif start != UNSERVED:
            runs.append((number, number, int(world.slots["time"][start]), serving.before))
    return runs


def _buffer(id: str, size: int, alignment: int, intervals: list[tuple[int, int]]) -> Buffer:
    """A buffer that is live in these closed intervals of times."""
    gaps = []
    end = None
    for start, last in sorted(intervals):
        if end is not None and start > end:
            gaps.append((end, start))
        end = last + 1 if end is None else max(end, last + 1)
    assert end is not None
    return Buffer(id, min(start for start, _ in intervals), end, size, alignment, tuple(gaps))


def plan_of(program: Program, world: World, decisions: Decisions, offsets: Mapping[int, int]) -> Plan:
    """The plan of some decisions, with an offset for each group in fast memory."""
    stays = stays_of(program, world, decisions)
    tensors = program.problem.tensors
    definitions: set[int] = set()
    uses: set[tuple[int, int]] = set()
    copies: list[Copy] = []
    for group in stays:
        if decisions.kind[group] == PINNED:
            members = program.problem.groups[group].tensors
            definitions.update(members)
            eviction = program.evictions[group]
            root = -1 if eviction is None else len(program.problem.instructions) - 1
            uses.update(
                (id, number) for id in members for number, use in enumerate(tensors[id].uses) if use.time != root
            )
            if eviction is not None:
                copies.append(Copy(eviction.tensor, "eviction", eviction.after, eviction.before))
            continue
        id = int(world.groups["fetched"][group])
        for first, last, after, _ in _runs(program, world, decisions, id):
            low, high = program.servings[id][first], program.servings[id][last]
            uses.update((id, number) for number in range(low.first, high.last + 1))
            copies.append(Copy(id, "prefetch", after, low.before))
    return Plan(
        fingerprint=program.problem.fingerprint,
        fast_definitions=frozenset(definitions),
        fast_uses=frozenset(uses),
        stays=tuple(
            sorted(Stay(id, start, end, offsets[group]) for group, at in stays.items() for id, start, end in at)
        ),
        copies=tuple(sorted(copies, key=lambda copy: (copy.after, copy.tensor))),
    )
