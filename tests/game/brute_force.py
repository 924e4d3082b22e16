"""Optima of tiny problems by enumeration; shares nothing with the solvers.

``best_return`` is the optimum of the game: over all sequences of legal moves. ``best_plan`` is the optimum of the whole
plan space: every group pinned, in HBM or served by prefetches with every set of uses and every start, at any offsets;
timed by ``mallocgame.models.replay``. The game chooses starts and offsets itself, so its optimum may be worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from mallocgame.game import Game, State
from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.validate import inexpressible
from mallocgame.problem.evictions import Eviction, eviction_of
from mallocgame.problem.schema import Problem, Tensor

Item = tuple[tuple[tuple[int, int], ...], int, int]
"""Intervals of one offset, size, group."""


def best_return(problem: Problem, limit: int) -> float | None:
    """The largest return of any episode, in seconds; None where more than ``limit`` states would be needed."""
    game = Game(problem)
    states = 0
    best = float("-inf")
    stack: list[tuple[State, float]] = [(game.start(), 0.0)]
    while stack:
        state, so_far = stack.pop()
        states += 1
        if states > limit:
            return None
        if game.done(state):
            best = max(best, so_far)
        for move in game.legal(state):
            after, reward = game.step(state, move)
            stack.append((after, so_far + reward))
    return best


def best_plan(problem: Problem, limit: int) -> tuple[float, Plan] | None:
    """The fastest plan of the plan space and its seconds; None where there are more than ``limit`` plans."""
    options = []
    plans = 1
    for group in range(len(problem.groups)):
        options.append(list(_options(problem, group)))
        plans *= len(options[-1])
        if plans > limit:
            return None
    timed = []
    for choice in product(*options):
        stays = tuple(sorted(stay for plan in choice for stay in plan.stays))
        copies = sorted((copy for plan in choice for copy in plan.copies), key=lambda copy: (copy.after, copy.tensor))
        definitions = frozenset(id for plan in choice for id in plan.fast_definitions)
        uses = frozenset(use for plan in choice for use in plan.fast_uses)
        plan = Plan(problem.fingerprint, definitions, uses, stays, tuple(copies))
        evicted = {problem.tensors[copy.tensor].group for copy in plan.copies if copy.kind == "eviction"}
        wrong = (violation.tensor for violation in inexpressible(problem, plan))
        kept = (id for id in wrong if id is None or problem.tensors[id].group not in evicted)
        if not any(True for _ in kept) and not _copies_kept_output(problem, plan):
            timed.append((replay_plan(problem, plan, "M").total, plan))
    timed.sort(key=lambda pair: pair[0])
    for seconds, plan in timed:
        packed = _pack(problem, plan)
        if packed is not None:
            return seconds, packed
    raise AssertionError("everything in HBM always fits")


def _copies_kept_output(problem: Problem, plan: Plan) -> bool:
    """Whether an output that is kept in HBM beside a kept operand is copied later; these problems have no bitcasts."""
    copied = {copy.tensor for copy in plan.copies if copy.kind == "prefetch"}
    for tensor in (problem.tensors[id] for id in copied):
        told = not _given(problem, tensor)
        for number, use in enumerate(tensor.uses):
            fast = (tensor.id, number) in plan.fast_uses
            alike = (id for id in problem.definitions_at[use.time] if problem.tensors[id].size == tensor.size)
            if told and not fast and any(id in copied and problem.tensors[id].index == () for id in alike):
                return True
            told = fast
    return False


def _given(problem: Problem, tensor: Tensor) -> bool:
    """Whether a tensor is in HBM at first whatever its first use is told."""
    opcode = problem.instructions[tensor.time].opcode
    return opcode in ("parameter", "constant") or tensor.hbm_definition == "written by two cores"


def _options(problem: Problem, group: int) -> Iterator[Plan]:
    """Every decision for one group, its stays at offset 0."""
    empty = Plan(problem.fingerprint)
    yield empty
    members = [problem.tensors[id] for id in problem.groups[group].tensors]
    fits = problem.groups[group].size <= problem.target.fast_bytes
    eviction = eviction_of(problem, problem.groups[group]) if fits else None
    if (fits and all(member.fixed is None and member.hbm_definition is None for member in members)) or (
        eviction is not None and members[0].hbm_definition != "entry parameter"
    ):
        yield _written(problem, members, eviction)
    copied = len(members) == 1 or _updated_last(members)
    if copied and members[0].fixed is None and members[0].size <= problem.target.fast_bytes:
        for runs in _runs(members[0], 0, _given(problem, members[0])):
            updated = len(members) > 1 and any(last == len(members[0].uses) - 1 for _, last in runs)
            if runs and (eviction is not None or not updated):
                tail = _written(problem, members[1:], eviction) if updated else empty
                yield from (_both(plan, tail) for plan in _started(problem, members[0], runs))


def _updated_last(members: list[Tensor]) -> bool:
    """Whether it is an entry parameter that its last use, and no other, updates in place."""
    updates = [use.time in {member.time for member in members[1:]} for use in members[0].uses]
    if members[0].hbm_definition != "entry parameter" or updates != [False] * (len(updates) - 1) + [True]:
        return False
    return members[0].uses[-1].time == min(member.time for member in members[1:])


def _written(problem: Problem, members: list[Tensor], eviction: Eviction | None) -> Plan:
    """These tensors in fast memory for all of their lives; where one is evicted, but for the program's root."""
    end = len(problem.instructions) - 1
    stays = [Stay(member.id, *member.live, 0) for member in members]
    uses = {(member.id, number): use.time for member in members for number, use in enumerate(member.uses)}
    if eviction is None:
        return Plan(problem.fingerprint, frozenset(stay.tensor for stay in stays), frozenset(uses), tuple(stays))
    return Plan(
        problem.fingerprint,
        frozenset(stay.tensor for stay in stays),
        frozenset(use for use, time in uses.items() if time != end or use[0] != eviction.tensor),
        tuple(replace(stay, end=eviction.before) if stay.tensor == eviction.tensor else stay for stay in stays),
        (Copy(eviction.tensor, "eviction", eviction.after, eviction.before),),
    )


def _both(one: Plan, other: Plan) -> Plan:
    return Plan(
        one.fingerprint,
        one.fast_definitions | other.fast_definitions,
        one.fast_uses | other.fast_uses,
        one.stays + other.stays,
        one.copies + other.copies,
    )


def _runs(tensor: Tensor, first: int, allowed: bool) -> Iterator[tuple[tuple[int, int], ...]]:
    """Every set of runs (first, last use) from use ``first`` on; two runs have an HBM use between them."""
    if first >= len(tensor.uses):
        yield ()
        return
    yield from _runs(tensor, first + 1, True)
    last = first
    while allowed and last < len(tensor.uses) and _is_copyable(tensor, last):
        for rest in _runs(tensor, last + 1, False):
            if not rest or rest[0][0] > last + 1:
                yield ((first, last), *rest)
        last += 1


def _is_copyable(tensor: Tensor, number: int) -> bool:
    """Whether a prefetch for a use can be told: there is a start, and a time between definition and use."""
    return tensor.uses[number].copy_after is not None and tensor.uses[number].time > tensor.time + 1


def _started(problem: Problem, tensor: Tensor, runs: tuple[tuple[int, int], ...]) -> Iterator[Plan]:
    starts = []
    earlier = 0
    for first, last in runs:
        before, after = tensor.uses[first].time, tensor.uses[first].copy_after
        assert after is not None
        home = problem.instructions[before].computation
        times = range(max(after, earlier), before)
        starts.append([time for time in times if problem.instructions[time].computation == home])
        earlier = tensor.uses[last].time
    for chosen in product(*starts):
        yield Plan(
            problem.fingerprint,
            fast_uses=frozenset((tensor.id, number) for first, last in runs for number in range(first, last + 1)),
            stays=tuple(
                Stay(tensor.id, after + 1, tensor.uses[last].time, 0)
                for after, (_, last) in zip(chosen, runs, strict=True)
            ),
            copies=tuple(
                Copy(tensor.id, "prefetch", after, tensor.uses[first].time)
                for after, (first, _) in zip(chosen, runs, strict=True)
            ),
        )


def _pack(problem: Problem, plan: Plan) -> Plan | None:
    """The plan with offsets, or None where none exist."""
    items: list[Item] = []
    owners: list[tuple[Stay, ...]] = []
    for group in problem.groups:
        stays = tuple(stay for stay in plan.stays if stay.tensor in group.tensors)
        together = [stays] if len(group.tensors) > 1 else [(stay,) for stay in stays]
        for part in together:
            if part:
                size = max(problem.tensors[stay.tensor].size for stay in part)
                items.append((tuple((stay.start, stay.end) for stay in part), size, len(owners)))
                owners.append(part)
    reserved = {}
    for one in problem.reserved:
        reserved[len(items)] = one.offset
        items.append((((one.start, one.end),), one.size, len(items)))
    offsets = _place(problem.target.fast_bytes, problem.target.alignment, items, reserved, {})
    if offsets is None:
        return None
    moved = [replace(stay, offset=offsets[number]) for number, part in enumerate(owners) for stay in part]
    return replace(plan, stays=tuple(sorted(moved)))


def _place(
    capacity: int, alignment: int, items: list[Item], reserved: dict[int, int], placed: dict[int, int]
) -> dict[int, int] | None:
    """Offsets by trying every order, each item at 0 or on top of a placed or reserved one; complete for existence."""
    if len(placed) + len(reserved) == len(items):
        return placed
    there = {**reserved, **placed}
    floor = max(placed.values(), default=0)
    for intervals, size, number in items:
        if number in there:
            continue
        below = {0} | {-(-(offset + items[other][1]) // alignment) * alignment for other, offset in there.items()}
        for offset in sorted(below):
            if floor <= offset <= capacity - size and not _hits(items, there, intervals, offset, size):
                found = _place(capacity, alignment, items, reserved, {**placed, number: offset})
                if found is not None:
                    return found
    return None


def _hits(
    items: list[Item], placed: dict[int, int], intervals: tuple[tuple[int, int], ...], low: int, size: int
) -> bool:
    for other, offset in placed.items():
        theirs, height, _ = items[other]
        overlaps = any(a <= d and c <= b for a, b in intervals for c, d in theirs)
        if overlaps and offset < low + size and low < offset + height:
            return True
    return False
