"""What a plan of the game decides, as boolean variables: ``mallocgame.game.rules`` without its moves.

For each alias group whether it is pinned (with an eviction, where it has an entry result); for each copyable serving of
a single-tensor group whether it is served, whether it keeps the copy of the serving before, and else after which
instruction its own copy starts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Literal, NamedTuple

from mallocgame.game.program import Program, Serving
from mallocgame.plan.plan import Plan
from mallocgame.problem.reserved import reserved_bytes
from mallocgame.solvers.exact.model import ONE, ZERO, Linear, Model, total


@dataclass(frozen=True, slots=True)
class Served:
    """The decision about one serving.

    Attributes:
        tensor: tensor id.
        number: index into the tensor's servings.
        serving: that serving.
        fast: 1 where it reads fast memory.
        kept: 1 where it reads the copy of the serving before.
        starts: (position in the serving's computation, 1 where its own copy starts after the instruction there).
    """

    tensor: int
    number: int
    serving: Serving
    fast: Linear
    kept: Linear
    starts: tuple[tuple[int, Linear], ...]

    @property
    def copied(self) -> Linear:
        """1 where it has a copy of its own."""
        return total(start for _, start in self.starts)


@dataclass
class Choices:
    """All decisions.

    Attributes:
        pinned: per group.
        served: per tensor that has any, its servings that may be fast, by number.
        carried: per tensor that takes over the bytes of a served parameter, 1 where it does in fast memory.
    """

    pinned: list[Linear]
    served: dict[int, dict[int, Served]] = field(default_factory=dict)
    carried: dict[int, Linear] = field(default_factory=dict)

    def all_served(self) -> Iterator[Served]:
        """Every serving that may be fast, by tensor."""
        for servings in self.served.values():
            yield from servings.values()

    @property
    def starts(self) -> int:
        """How many starts of copies there are to choose from."""
        return sum(len(served.starts) for served in self.all_served())

    def variables(self) -> list[int]:
        """The variables that make the plan: equal values, equal plan."""
        found = [variable for pin in self.pinned for variable in pin.terms]
        for served in self.all_served():
            found.extend(served.kept.terms)
            found.extend(variable for _, start in served.starts for variable in start.terms)
        return found


def choices(
    model: Model, program: Program, fixed: Plan | None, free: Collection[int], barred: Collection[int]
) -> Choices:
    """The decisions of a problem and the rules among them.

    Args:
        model: gets the variables and rows.
        program: tables of the problem.
        fixed: a plan of the game; the groups not in ``free`` do what it does. None for no such groups.
        free: see ``fixed``.
        barred: of the groups that are free, those that stay in HBM.
    """
    tensors = program.problem.tensors
    made = Choices([ZERO] * len(program.problem.groups))
    for group, pinnable in enumerate(program.pinnable):
        members = program.problem.groups[group].tensors
        servings = program.servings[members[0]]
        pinned = pinnable or program.evictions[group] is not None
        if fixed is not None and group not in free:
            if pinned and members[0] in fixed.fast_definitions:
                made.pinned[group] = ONE
            elif servings:
                made.served[members[0]] = _as_planned(program, members[0], servings, fixed)
        elif group not in barred:
            if pinned:
                made.pinned[group] = model.choice()
            if servings:
                made.served[members[0]] = _serve(model, program, members[0])
                for served in made.served[members[0]].values():
                    model.at_least(1.0, made.pinned[group] + served.fast)
        for served in made.served.get(members[0], {}).values():
            made.carried.update((id, served.fast) for id in program.carried(members[0], served.number))
    for tensor in made.served:
        _keep_rule(model, program, made, tensors[tensor].id)
    return made


def _serve(model: Model, program: Program, tensor: int) -> dict[int, Served]:
    """Free decisions about the servings of one tensor: runs of neighbours, each with one copy."""
    found: dict[int, Served] = {}
    servings = program.servings[tensor]
    for number, serving in enumerate(servings):
        if serving.earliest is None:
            continue
        computation = program.computation[serving.before]
        first = program.earliest_position(serving.before, serving.earliest)
        starts = tuple((place, model.choice()) for place in range(first, program.latest[serving.before] + 1))
        copied = total(start for _, start in starts)
        kept, before = ZERO, found.get(number - 1)
        if before is not None:
            if program.computation[before.serving.before] == computation:
                kept = model.choice()
                model.at_least(before.fast, kept)
            model.at_least(1.0, copied + before.fast)
        fast = copied + kept
        model.at_least(1.0, fast)
        found[number] = Served(tensor, number, serving, fast, kept, starts)
        times = program.times[computation]
        for earlier in found.values():
            if earlier.number < number - 1:
                too_soon = total(start for place, start in starts if times[place] < earlier.serving.before)
                model.at_least(1.0, earlier.fast + too_soon)
    return found


def _as_planned(program: Program, tensor: int, servings: Sequence[Serving], plan: Plan) -> dict[int, Served]:
    """The servings of a tensor as constants."""
    after = {copy.before: copy.after for copy in plan.copies if copy.tensor == tensor}
    found = {}
    for number, serving in enumerate(servings):
        if (tensor, serving.last) not in plan.fast_uses:
            continue
        copied = serving.before in after
        starts = ((program.position[after[serving.before]], ONE),) if copied else ()
        found[number] = Served(tensor, number, serving, ONE, ZERO if copied else ONE, starts)
    return found


def _keep_rule(model: Model, program: Program, made: Choices, tensor: int) -> None:
    """Outputs that a kept use of a copied tensor keeps in HBM are not fast."""
    servings = program.servings[tensor]
    for number, serving in enumerate(servings):
        outputs = _kept_outputs(program, tensor, serving.first)
        if not outputs:
            continue
        if number == 0 and serving.earliest is None:
            asked = [served.fast for served in made.served[tensor].values()]
        else:
            before, here = made.served[tensor].get(number - 1), made.served[tensor].get(number)
            asked = [] if before is None else [before.fast - (ZERO if here is None else here.fast)]
        for output in outputs:
            group = program.problem.tensors[output].group
            fast = [made.pinned[group], made.carried.get(output, ZERO)]
            fast += [served.fast for served in made.served.get(output, {}).values()]
            for need in asked:
                for other in fast:
                    model.at_least(1.0, need + other)


def _kept_outputs(program: Program, tensor: int, number: int) -> frozenset[int]:
    """What is kept in HBM beside a use that has to be kept there."""
    others = set(range(len(program.problem.tensors[tensor].uses))) - {number}
    before = {other for other in others if other < number}
    return dict(program.kept(tensor, before)).get(number, frozenset())


class Taken(NamedTuple):
    """``size`` bytes (in units of the alignment) of a group that are taken from ``start`` to ``end``, where ``fast``.

    ``kind`` says what for: the stays of a pinned group share their bytes, and so do those of what takes over from a
    served parameter, with that one's own.
    """

    start: int
    end: int
    size: int
    group: int
    kind: Literal["pinned", "carried", "served"]
    fast: Linear


def capacity(model: Model, program: Program, made: Choices) -> None:
    """At every time, what is in fast memory fits beside what is reserved."""
    problem = program.problem
    room, reserved = ceil(problem.target.fast_bytes / problem.target.alignment), reserved_bytes(problem)
    taken = sorted(_taken(program, made), key=lambda part: part.start)
    active: list[Taken] = []
    coming = 0
    for time in sorted({part.end for part in taken} | {one.end for one in problem.reserved}):
        active = [part for part in active if part.end >= time]
        while coming < len(taken) and taken[coming].start <= time:
            if taken[coming].end >= time:
                active.append(taken[coming])
            coming += 1
        carried = {part.group for part in active if part.kind == "carried"}
        shared: dict[tuple[int, str], Taken] = {}
        sizes = []
        for part in active:
            if part.kind == "served" and part.group not in carried:
                sizes.append(part.fast * float(part.size))
            elif part.kind != "served":
                key = part.group, part.kind
                shared[key] = max(shared.get(key, part), part, key=lambda part: part.size)
        free = room - reserved[time] // problem.target.alignment
        model.at_least(float(free), total((*sizes, *(part.fast * float(part.size) for part in shared.values()))))


def _taken(program: Program, made: Choices) -> Iterator[Taken]:
    tensors, alignment = program.problem.tensors, program.problem.target.alignment
    for tensor in tensors:
        size = ceil(tensor.size / alignment)
        if made.pinned[tensor.group] is not ZERO:
            yield Taken(*program.lasting(tensor.id), size, tensor.group, "pinned", made.pinned[tensor.group])
        if tensor.id in made.carried:
            yield Taken(*program.lasting(tensor.id), size, tensor.group, "carried", made.carried[tensor.id])
    for served in made.all_served():
        group, before = tensors[served.tensor].group, served.serving.before
        size = ceil(tensors[served.tensor].size / alignment)
        times = program.times[program.computation[before]]
        for place, start in served.starts:
            yield Taken(times[place] + 1, before, size, group, "served", start)
        if served.kept is not ZERO:
            earlier = program.servings[served.tensor][served.number - 1].before
            yield Taken(earlier + 1, before, size, group, "served", served.kept)
