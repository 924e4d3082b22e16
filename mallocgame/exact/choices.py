"""What a plan of the game decides, as boolean variables: ``mallocgame.game.rules`` without its moves.

For each alias group whether it is pinned (with an eviction, where it has an entry result); for each copyable serving of
a single-tensor group whether it is served, whether it keeps the copy of the serving before, and else after which
instruction its own copy starts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil

from mallocgame.exact.model import ONE, ZERO, Linear, Model, total
from mallocgame.game.program import Program, Serving
from mallocgame.plan import Plan
from mallocgame.problem.evictions import Eviction


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
    """

    pinned: list[Linear]
    served: dict[int, dict[int, Served]] = field(default_factory=dict)

    def all_served(self) -> Iterator[Served]:
        """Every serving that may be fast, by tensor."""
        for servings in self.served.values():
            yield from servings.values()

    def variables(self) -> list[int]:
        """The variables that make the plan: equal values, equal plan."""
        found = [variable for pin in self.pinned for variable in pin.terms]
        for served in self.all_served():
            found.extend(served.kept.terms)
            found.extend(variable for _, start in served.starts for variable in start.terms)
        return found


def choices(model: Model, program: Program, fixed: Plan | None, free: Collection[int]) -> Choices:
    """The decisions of a problem and the rules among them.

    Args:
        model: gets the variables and rows.
        program: tables of the problem.
        fixed: a plan of the game; the groups not in ``free`` do what it does. None for no such groups.
        free: see ``fixed``.
    """
    tensors = program.problem.tensors
    made = Choices([ZERO] * len(program.problem.groups))
    for group, pinnable in enumerate(program.pinnable):
        members = program.problem.groups[group].tensors
        if fixed is not None and group not in free:
            if any(id in fixed.fast_definitions for id in members):
                made.pinned[group] = ONE
            elif servings := program.servings[members[0]]:
                made.served[members[0]] = _as_planned(program, members[0], servings, fixed)
            continue
        if pinnable or eviction_of(program, group) is not None:
            made.pinned[group] = model.choice()
        if len(members) == 1 and program.servings[members[0]]:
            made.served[members[0]] = _serve(model, program, members[0])
            for served in made.served[members[0]].values():
                model.at_least(1.0, made.pinned[group] + served.fast)
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
            fast = [made.pinned[group], *(served.fast for served in made.served.get(output, {}).values())]
            for need in asked:
                for other in fast:
                    model.at_least(1.0, need + other)


def _kept_outputs(program: Program, tensor: int, number: int) -> frozenset[int]:
    """What is kept in HBM beside a use that has to be kept there."""
    others = set(range(len(program.problem.tensors[tensor].uses))) - {number}
    before = {other for other in others if other < number}
    return dict(program.kept(tensor, before)).get(number, frozenset())


def eviction_of(program: Program, group: int) -> Eviction | None:
    """The eviction with which a group may be pinned; None where it would be waited for inside of what is called."""
    eviction = program.evictions[group]
    if eviction is None or program.computation[eviction.after] != program.computation[eviction.before]:
        return None
    return eviction


def pinned_stays(program: Program, group: int) -> list[tuple[int, int, int]]:
    """(First time, last time, tensor) of what a group occupies if it is pinned."""
    eviction = eviction_of(program, group)
    found = []
    for id in program.problem.groups[group].tensors:
        start, end = program.problem.tensors[id].live
        evicted = eviction is not None and eviction.tensor == id
        found.append((start, eviction.before if eviction is not None and evicted else end, id))
    return found


def capacity(model: Model, program: Program, made: Choices) -> None:
    """At every time, what is in fast memory fits: sizes in units of the alignment, all of one group as the largest."""
    problem = program.problem
    tensors, alignment = problem.tensors, problem.target.alignment
    ends: set[int] = set()
    stays: list[tuple[int, int, int, int, Linear]] = []
    for group, pin in enumerate(made.pinned):
        if pin.terms or pin.constant:
            for start, end, id in pinned_stays(program, group):
                stays.append((start, end, tensors[id].size, group, pin))
    for served in made.all_served():
        tensor, before = tensors[served.tensor], served.serving.before
        times = program.times[program.computation[before]]
        stays.extend((times[place] + 1, before, tensor.size, tensor.group, start) for place, start in served.starts)
        if served.kept.terms or served.kept.constant:
            earlier = program.servings[served.tensor][served.number - 1].before
            stays.append((earlier + 1, before, tensor.size, tensor.group, served.kept))
    ends.update(end for _, end, _, _, _ in stays)
    room = ceil(problem.target.fast_bytes / alignment)
    stays.sort(key=lambda stay: stay[:2])
    active: list[tuple[int, int, int, int, Linear]] = []
    coming = 0
    for time in sorted(ends):
        active = [stay for stay in active if stay[1] >= time]
        while coming < len(stays) and stays[coming][0] <= time:
            if stays[coming][1] >= time:
                active.append(stays[coming])
            coming += 1
        largest: dict[tuple[int, int], tuple[int, Linear]] = {}
        for number, (_, _, size, group, fast) in enumerate(active):
            shared = (group, -1 if fast is made.pinned[group] else number)
            largest[shared] = max(
                largest.get(shared, (0, fast)), (ceil(size / alignment), fast), key=lambda pair: pair[0]
            )
        model.at_least(float(room), total(fast * float(size) for size, fast in largest.values()))
