"""A plan of one program carried over to another: of another compiler, or changed a little."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from mallocgame.plan.matching import Match, match
from mallocgame.plan.named_plan import NamedPlan, NamedTensor, NamedUse, name_plan
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.problem.schema import Problem, Tensor


@dataclass(frozen=True, slots=True)
class CarriedOver:
    """What of a plan is found again in another program.

    Attributes:
        plan: of that program, without addresses: every stay is at 0, and what is in fast memory may not fit, nor be
            allowed there.
        found: alias groups that the old plan has in fast memory, of which every tensor there is found again.
        groups: how many it has there in all.
    """

    plan: Plan
    found: int
    groups: int


def carry_over(old: NamedPlan, problem: Problem) -> CarriedOver:
    """What a plan has in fast memory, and where its copies start, for another program."""
    empty = Plan(problem.fingerprint, reach=old.plan.reach)
    named = name_plan(problem, empty, solver=old.solver)
    matched = match(old.tensors, named.tensors)
    fast = [tensor for tensor in old.tensors if tensor.is_fast]
    lost = {tensor.group for tensor in fast if tensor.id not in matched.tensors}
    groups = {tensor.group for tensor in fast}
    made = _Plan(old, problem, matched)
    for tensor in fast:
        if tensor.id in matched.tensors:
            made.add(tensor, problem.tensors[matched.tensors[tensor.id]])
    return CarriedOver(made.plan(), len(groups - lost), len(groups))


class _Plan:
    """The plan that is being made."""

    def __init__(self, old: NamedPlan, problem: Problem, matched: Match) -> None:
        self.old, self.problem, self.matched = old, problem, matched
        times = {one.name: time for time, one in enumerate(problem.instructions)}
        self.found = sorted(
            (use.time, times[matched.instructions[use.instruction]])
            for tensor in old.tensors
            for use in tensor.uses
            if use.instruction in matched.instructions
        )
        self.evicted = {copy.tensor for copy in old.plan.copies if copy.kind == "eviction"}
        self.definitions: set[int] = set()
        self.uses: set[tuple[int, int]] = set()
        self.stays: list[Stay] = []
        self.copies: list[Copy] = []

    def plan(self) -> Plan:
        return Plan(
            fingerprint=self.problem.fingerprint,
            fast_definitions=frozenset(self.definitions),
            fast_uses=frozenset(self.uses),
            stays=tuple(sorted(self.stays)),
            copies=tuple(sorted(self.copies, key=lambda copy: (copy.after, copy.tensor))),
            reach=self.old.plan.reach,
        )

    def add(self, ours: NamedTensor, theirs: Tensor) -> None:
        """Have a tensor in fast memory where the old plan has it."""
        fast = dict(self._fast_uses(ours, theirs))
        begin = until = theirs.time
        here = ours.fast_definition
        if here:
            self.definitions.add(theirs.id)
            if ours.id in self.evicted:
                self.copies.append(Copy(theirs.id, "eviction", theirs.time, theirs.time + 1))
            else:
                until = theirs.live[1]
        for number, use in enumerate(theirs.uses):
            named = fast.get(number)
            after = None if named is None or named.copy_after is None else self._time(named.copy_after)
            if here and (named is None or after is not None):
                self.stays.append(Stay(theirs.id, begin, until, 0))
                here = False
            if after is not None:
                after = min(max(after, theirs.time), use.time - 1)
                self.copies.append(Copy(theirs.id, "prefetch", after, use.time))
                here, begin = True, after + 1
            if here:
                self.uses.add((theirs.id, number))
                until = max(until, use.time)
        if here:
            self.stays.append(Stay(theirs.id, begin, until, 0))

    def _fast_uses(self, ours: NamedTensor, theirs: Tensor) -> Iterator[tuple[int, NamedUse]]:
        """By number of the use in the other program those that read fast memory, and are found again there."""
        names, instructions = self.matched.instructions, self.problem.instructions
        numbers = {(instructions[use.time].name, use.operands): number for number, use in enumerate(theirs.uses)}
        for use in ours.uses:
            number = numbers.get((names.get(use.instruction, ""), use.operands))
            if use.fast and number is not None:
                yield number, use

    def _time(self, old: int) -> int:
        """A time in the other program: as long after what is found again before it."""
        place = bisect_right(self.found, old, key=lambda pair: pair[0])
        if not place:
            return -1
        before, there = self.found[place - 1]
        return there + old - before
