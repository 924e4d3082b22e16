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
    tensors = program.problem.tensors
    buffers = [
        _buffer(
            str(group),
            max(tensors[id].size for id, _, _ in found),
            target.alignment,
            [(start, end) for _, start, end in found],
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
            found[group] = [(id, *program.lasting(id)) for id in members]
        elif kind == FETCHED:
            id = int(world.groups["fetched"][group])
            runs = _runs(program, world, decisions, id)
            found[group] = [(id, after + 1, until) for _, _, after, until in runs]
            found[group] += [(other, *program.lasting(other)) for other in program.carried(id, runs[-1][1])]
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
    definitions: set[int] = set()
    uses: set[tuple[int, int]] = set()
    copies: list[Copy] = []
    for group in stays:
        if decisions.kind[group] == PINNED:
            written = program.problem.groups[group].tensors
        else:
            id = int(world.groups["fetched"][group])
            runs = _runs(program, world, decisions, id)
            for first, last, after, _ in runs:
                low, high = program.servings[id][first], program.servings[id][last]
                uses.update((id, number) for number in range(low.first, high.last + 1))
                copies.append(Copy(id, "prefetch", after, low.before))
            written = program.carried(id, runs[-1][1])
        definitions.update(written)
        uses.update((id, number) for id in written for number in program.read_fast(id))
        eviction = program.eviction_of(group)
        if eviction is not None and eviction.tensor in written:
            copies.append(Copy(eviction.tensor, "eviction", eviction.after, eviction.before))
    return Plan(
        fingerprint=program.problem.fingerprint,
        fast_definitions=frozenset(definitions),
        fast_uses=frozenset(uses),
        stays=tuple(
            sorted(Stay(id, start, end, offsets[group]) for group, at in stays.items() for id, start, end in at)
        ),
        copies=tuple(sorted(copies, key=lambda copy: (copy.after, copy.tensor))),
    )
