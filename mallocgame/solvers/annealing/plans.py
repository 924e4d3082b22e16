"""Addresses for decisions: the plan that they mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mallocgame.game.program import Program
from mallocgame.packing import Buffer, fit_most, pack
from mallocgame.packing.buffer import Status
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.solvers.addresses import reserved_buffers
from mallocgame.solvers.annealing.search import Decisions, made_eviction
from mallocgame.solvers.annealing.world import FETCHED, IN_HBM, MADE, PINNED, STAYS, UNSERVED, Floats, World


class Piece(NamedTuple):
    """Stays of one group that have one offset: of a pinned group all, else those of one copy and what goes on with it.

    Attributes:
        group: its number.
        stays: (tensor, first time, last time) of each, inclusive.
        servings: which of all servings its copy is for; empty if it is pinned.
    """

    group: int
    stays: tuple[tuple[int, int, int], ...]
    servings: range


class Run(NamedTuple):
    """One stay of a fetched tensor.

    Attributes:
        first, last: numbers of the servings that it is for.
        begin, until: its first and last time.
        copy: the prefetch that begins it, or of a product made in fast memory the eviction that ends it.
    """

    first: int
    last: int
    begin: int
    until: int
    copy: Copy


class PackedPlan(NamedTuple):
    """What the packer made of decisions.

    Attributes:
        decisions: those that have addresses: all, or without the copies and groups that found no room.
        plan: with offsets.
        status: of the packer: ``"feasible"`` where all were given an address.
    """

    decisions: Decisions
    plan: Plan
    status: Status


def packed_plan(
    program: Program,
    world: World,
    decisions: Decisions,
    losses: Callable[[], Floats],
    *,
    time_limit: float,
    seed: int,
    reach: float | None = None,
) -> PackedPlan:
    """The plan of some decisions, with the offsets that the packer finds; if it finds none, of what fits.

    Args:
        program: of the problem.
        world: its arrays.
        decisions: what is to be in fast memory.
        losses: tells, where it has to be known, ``[G]`` what is lost, in any unit, if a group has no room.
        time_limit: seconds for the packer, and again for the choice of what fits.
        seed: of the packer.
        reach: of the plan.
    """
    target = program.problem.target
    pieces = pieces_of(program, world, decisions)
    buffers = [
        _buffer(
            str(number),
            size_of(program, piece),
            target.alignment,
            [(start, end) for _, start, end in piece.stays],
        )
        for number, piece in enumerate(pieces)
    ]
    buffers += reserved_buffers(program.problem)
    packing = pack(buffers, target.fast_bytes, time_limit=time_limit, seed=seed)
    if packing.offsets is not None:
        offsets = packing.offsets[: len(pieces)]
        return PackedPlan(decisions, plan_of(program, world, decisions, offsets, reach), packing.status)
    share, lost = Counter(piece.group for piece in pieces), losses()
    values = [float(lost[piece.group]) / share[piece.group] for piece in pieces]
    values += [0.0] * (len(buffers) - len(pieces))
    fitting = fit_most(buffers, values, target.fast_bytes, time_limit=time_limit, seed=seed)[: len(pieces)]
    reduced = _without(world, decisions, [piece for piece, at in zip(pieces, fitting, strict=True) if at is None])
    found = {piece: at for piece, at in zip(pieces, fitting, strict=True) if at is not None}
    kept = pieces_of(program, world, reduced)
    plan = plan_of(program, world, reduced, [found[piece] for piece in kept], reach)
    return PackedPlan(reduced, plan, packing.status)


def _without(world: World, decisions: Decisions, pieces: Sequence[Piece]) -> Decisions:
    """Decisions less some pieces: their groups are in HBM, or have no copy for these servings.

    A product that is not made in fast memory is in HBM: its first use would have to be kept there, beside others.
    """
    kind, plan = decisions.copy()
    for piece in pieces:
        if kind[piece.group] == PINNED or decisions.plan[piece.servings.start] == MADE:
            kind[piece.group] = IN_HBM
        else:
            plan[piece.servings] = UNSERVED
    for group in {piece.group for piece in pieces if decisions.kind[piece.group] == FETCHED}:
        first, end = world.tensors[["serving_first", "serving_end"]][world.groups["fetched"][group]]
        if kind[group] == IN_HBM:
            plan[first:end] = UNSERVED
        elif (plan[first:end] == UNSERVED).all():
            kind[group] = IN_HBM
    return Decisions(kind, plan)


def size_of(program: Program, piece: Piece) -> int:
    """Bytes that a piece takes."""
    return max(program.problem.tensors[id].size for id, _, _ in piece.stays)


def pieces_of(program: Program, world: World, decisions: Decisions) -> list[Piece]:
    """What is in fast memory, group by group."""
    present = np.nonzero(decisions.kind)[0].tolist()
    return [piece for group in present for piece in pieces_of_group(program, world, decisions, group)]


def pieces_of_group(program: Program, world: World, decisions: Decisions, group: int) -> list[Piece]:
    """What of a group is in fast memory."""
    if decisions.kind[group] == PINNED:
        members = program.problem.groups[group].tensors
        return [Piece(group, tuple((id, *program.lasting(id)) for id in members), range(0))]
    found: list[Piece] = []
    if decisions.kind[group] == FETCHED:
        id = int(world.groups["fetched"][group])
        first = int(world.tensors["serving_first"][id])
        runs = _runs(program, world, decisions, id)
        for run in runs:
            stays = [(id, run.begin, run.until)]
            if run is runs[-1]:
                stays += [(other, *program.lasting(other)) for other in program.carried(id, run.last)]
            found.append(Piece(group, tuple(stays), range(first + run.first, first + run.last + 1)))
    return found


def _runs(program: Program, world: World, decisions: Decisions, id: int) -> list[Run]:
    """The stays of a fetched tensor."""
    first = int(world.tensors["serving_first"][id])
    tensor, servings = program.problem.tensors[id], program.servings[id]
    starts = [int(start) for start in decisions.plan[first : first + len(servings)]]
    runs = []
    for number, start in enumerate(starts):
        if start in (UNSERVED, STAYS):
            continue
        last = number
        while last + 1 < len(servings) and starts[last + 1] == STAYS:
            last += 1
        until = servings[last].before
        if start == MADE:
            eviction = made_eviction(program, world, id, last)
            copy = Copy(id, "eviction", eviction.after, eviction.before)
            runs.append(Run(number, last, tensor.time, max(until, eviction.before), copy))
        else:
            after = int(world.slots["time"][start])
            runs.append(Run(number, last, after + 1, until, Copy(id, "prefetch", after, servings[number].before)))
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


def plan_of(
    program: Program, world: World, decisions: Decisions, offsets: Sequence[int], reach: float | None = None
) -> Plan:
    """The plan of some decisions, with an offset for each of their pieces (``pieces_of``), and its reach."""
    pieces = pieces_of(program, world, decisions)
    definitions: set[int] = set()
    uses: set[tuple[int, int]] = set()
    copies: list[Copy] = []
    for group in dict.fromkeys(piece.group for piece in pieces):
        if decisions.kind[group] == PINNED:
            written = program.problem.groups[group].tensors
        else:
            id = int(world.groups["fetched"][group])
            runs = _runs(program, world, decisions, id)
            for run in runs:
                low, high = program.servings[id][run.first], program.servings[id][run.last]
                uses.update((id, number) for number in range(low.first, high.last + 1))
                copies.append(run.copy)
            if runs[0].copy.kind == "eviction":
                definitions.add(id)
            written = program.carried(id, runs[-1].last)
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
            sorted(
                Stay(id, start, end, offset)
                for piece, offset in zip(pieces, offsets, strict=True)
                for id, start, end in piece.stays
            )
        ),
        copies=tuple(sorted(copies, key=lambda copy: (copy.after, copy.tensor))),
        reach=reach,
    )
