"""A problem as the flat tables that the game and the solvers look things up in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from mallocgame.problem.evictions import Eviction, eviction_of
from mallocgame.problem.placement import is_directly_after, starts_in_hbm
from mallocgame.problem.schema import Problem, Tensor


class Site(NamedTuple):
    """One question of the game.

    Attributes:
        time: of the instruction that reads or defines.
        tensor: tensor id.
        use: index into the tensor's uses, or -1 for its definition.
    """

    time: int
    tensor: int
    use: int


class Tail(NamedTuple):
    """What is in fast memory too where the update in place of an entry parameter reads a prefetch of it.

    Attributes:
        tensors: ids of the rest of the parameter's alias group.
        eviction: of the entry result among them.
    """

    tensors: tuple[int, ...]
    eviction: Eviction


class Serving(NamedTuple):
    """What one prefetch, or the keeping of one, serves at least: a use, or all uses of a loop or conditional.

    A value of the caller that a loop (or a branch) reads is prefetched for the calling instruction, which then reads it
    in fast memory with all uses inside (docs/expressibility.md); such a *visit* is served as a whole.

    Attributes:
        first: index of the first of the tensor's uses.
        last: index of the last one.
        before: time of the instruction that waits for the copy; also the time at which the last use ends.
        earliest: earliest time after whose instruction the copy may start, or None if none can be made; none can from
            the tensor's definition to the very next time ("Out of alternate memory", libtpu 0.0.52).
        carries: whether its last use updates the tensor in place: the ``Program.tails`` of its group is in fast memory
            then, at the same offset.
    """

    first: int
    last: int
    before: int
    earliest: int | None
    carries: bool = False


class Program:
    """Static tables of one problem; never changed after construction.

    Attributes:
        problem: what they were made from.
        entry: index of the entry computation.
        times: per computation, the times of its own instructions (callees' excluded), ascending.
        position: per time, the index in its computation's ``times``.
        latest: per time, the index in its computation's ``times`` of the last instruction after which a copy for a use
            there may start: the one before, and before a caller the one before that (measured: what hands the operands
            over waits for the copy).
        depth: per computation, how many computations enclose it.
        children: per time, the computations called there.
        pinnable: per group, whether it may be pinned at all: nothing of it is ``fixed`` or has an
            ``hbm_definition``, and its largest tensor fits into fast memory.
        evictions: per group of which one tensor is an entry result and nothing an entry parameter, the copy with which
            it may be pinned all the same: all definitions, and all uses but the entry root's, are fast; that tensor
            stays until and with ``before``. None for all other groups; those of ``pinnable`` are others.
        single: per group, whether it has one tensor.
        tails: per group whose first tensor is an entry parameter, what its last serving carries; None where that
            cannot be in fast memory, and for all other groups.
        servings: per tensor, what prefetches can serve, in program order; empty where that is nothing. Uses by
            bitcasts, which the compiler does not serve, are in no serving of their own.
        sites: the questions of the game in walking order; see ``rules``.
        first_site: per group, the index of its first site in ``sites``, or -1.
        last_definition_site: per group, the index of its last definition site, or -1.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.times: list[list[int]] = [[] for _ in problem.computations]
        self.position: list[int] = []
        for time, instruction in enumerate(problem.instructions):
            self.position.append(len(self.times[instruction.computation]))
            self.times[instruction.computation].append(time)
        self.computation = [instruction.computation for instruction in problem.instructions]
        self.caller = [computation.caller for computation in problem.computations]
        self.entry = self.caller.index(None)
        self.children = [problem.children.get(time, ()) for time in range(len(problem.instructions))]
        self.latest = [place - (2 if self.children[time] else 1) for time, place in enumerate(self.position)]
        self.depth = [self._depth(number) for number in range(len(problem.computations))]
        self.uses_at = problem.uses_at
        self.definitions_at = problem.definitions_at
        self.pinnable = [self._pinnable(number) for number in range(len(problem.groups))]
        self.single = [len(group.tensors) == 1 for group in problem.groups]
        self.evictions: list[Eviction | None] = [None] * len(problem.groups)
        self.tails: list[Tail | None] = [None] * len(problem.groups)
        for number in range(len(problem.groups)):
            self._find_eviction(number)
        self.servings = tuple(self._servings(tensor) for tensor in problem.tensors)
        self._serving_at = {
            (tensor, number): index
            for tensor, servings in enumerate(self.servings)
            for index, serving in enumerate(servings)
            for number in range(serving.first, serving.last + 1)
        }
        self.sites = tuple(self._sites())
        self.first_site = [-1] * len(problem.groups)
        self.last_definition_site = [-1] * len(problem.groups)
        for number, site in enumerate(self.sites):
            group = problem.tensors[site.tensor].group
            if self.first_site[group] < 0:
                self.first_site[group] = number
            if site.use < 0:
                self.last_definition_site[group] = number

    def serving_at(self, tensor: int, number: int) -> int | None:
        """Index of the serving that a use belongs to."""
        return self._serving_at.get((tensor, number))

    def kept(self, tensor: int, fast: Collection[int]) -> Iterator[tuple[int, frozenset[int]]]:
        """What the compiler has to be told to keep in HBM if a tensor in HBM has these fast uses.

        That is its first use, unless it starts in HBM by itself, and the first HBM use after each fast one; bitcasts do
        not count. With such a use the compiler also keeps outputs of its instruction in HBM, with all of their uses:
        those of the same tuple index and size (measured, libtpu 0.0.52; docs/expressibility.md).

        Yields:
            Index of the use, and the ids of these outputs.
        """
        value = self.problem.tensors[tensor]
        after = value.uses and not starts_in_hbm(self.problem, value)
        for number, use in enumerate(value.uses):
            if self.serving_at(tensor, number) is None:
                continue
            if number not in fast and after:
                indices = {index for _, index in use.operands}
                outputs = (self.problem.tensors[id] for id in self.definitions_at[use.time])
                yield (
                    number,
                    frozenset(out.id for out in outputs if out.index in indices and out.size == value.size),
                )
            after = number in fast

    def eviction_of(self, group: int) -> Eviction | None:
        """The eviction of a group's entry result if that is written to fast memory."""
        tail = self.tails[group]
        return self.evictions[group] if tail is None else tail.eviction

    def lasting(self, tensor: int) -> tuple[int, int]:
        """First and last time that a tensor occupies if it is written to fast memory."""
        value = self.problem.tensors[tensor]
        eviction = self.eviction_of(value.group)
        if eviction is not None and eviction.tensor == tensor:
            return value.live[0], eviction.before
        return value.live

    def read_fast(self, tensor: int) -> list[int]:
        """The uses that read fast memory if a tensor is written there: of what is evicted those before it is gone.

        Only the entry's root and bitcasts, which pass it on to the root, come later.
        """
        value = self.problem.tensors[tensor]
        eviction = self.eviction_of(value.group)
        if eviction is None or eviction.tensor != tensor:
            return list(range(len(value.uses)))
        root = len(self.position) - 1
        return [number for number, use in enumerate(value.uses) if use.time <= eviction.before and use.time != root]

    def carried(self, tensor: int, serving: int) -> tuple[int, ...]:
        """Ids of the tensors that are in fast memory, too, where a serving is."""
        tail = self.tails[self.problem.tensors[tensor].group]
        return tail.tensors if tail is not None and self.servings[tensor][serving].carries else ()

    def earliest_position(self, time: int, after: int) -> int:
        """Index, in the times of ``time``'s computation, of the first instruction at or after time ``after``."""
        times = self.times[self.computation[time]]
        low, high = 0, self.position[time]
        while low < high:
            middle = (low + high) // 2
            if times[middle] < after:
                low = middle + 1
            else:
                high = middle
        return low

    def _depth(self, computation: int) -> int:
        depth = 0
        caller = self.caller[computation]
        while caller is not None:
            depth += 1
            caller = self.caller[self.computation[caller]]
        return depth

    def _pinnable(self, group: int) -> bool:
        members = [self.problem.tensors[id] for id in self.problem.groups[group].tensors]
        allowed = all(member.fixed is None and member.hbm_definition is None for member in members)
        return allowed and max(member.size for member in members) <= self.problem.target.fast_bytes

    def _find_eviction(self, number: int) -> None:
        group = self.problem.groups[number]
        eviction = eviction_of(self.problem, group) if group.size <= self.problem.target.fast_bytes else None
        if eviction is None:
            return
        if self.problem.tensors[group.tensors[0]].hbm_definition != "entry parameter":
            self.evictions[number] = eviction
        elif self._may_be_copied(self.problem.tensors[group.tensors[0]]):
            self.tails[number] = Tail(group.tensors[1:], eviction)

    def _may_be_copied(self, tensor: Tensor) -> bool:
        """Whether prefetches of a tensor can be expressed: it is alone, or a parameter whose last use updates it.

        Nothing else of its group may be defined before that.
        """
        members = self.problem.groups[tensor.group].tensors
        if tensor.fixed or tensor.size > self.problem.target.fast_bytes:
            return False
        if len(members) == 1:
            return True
        if tensor.id != members[0] or tensor.hbm_definition != "entry parameter" or not tensor.uses:
            return False
        times = [use.time for use in tensor.uses]
        updated = min(self.problem.tensors[id].time for id in members[1:])
        once = times[-1] == updated and times.count(updated) == 1
        return once and self.problem.instructions[updated].opcode != "conditional"

    def _servings(self, tensor: Tensor) -> tuple[Serving, ...]:
        if not self._may_be_copied(tensor):
            return ()
        produced = not starts_in_hbm(self.problem, tensor)
        updated = len(self.problem.groups[tensor.group].tensors) > 1
        found: list[Serving] = []
        for first, last in self._visits(tensor):
            use = tensor.uses[last]
            if first == last and self.problem.instructions[use.time].opcode == "bitcast":
                continue
            earliest = use.copy_after
            carries = updated and last == len(tensor.uses) - 1
            if earliest is not None and self.earliest_position(use.time, earliest) > self.latest[use.time]:
                earliest = None
            if is_directly_after(use.time, tensor.time):
                earliest = None
            if (produced and not found) or (carries and self.tails[tensor.group] is None):
                earliest = None
            found.append(Serving(first, last, use.time, earliest, carries))
        return tuple(found) if any(serving.earliest is not None for serving in found) else ()

    def _visits(self, tensor: Tensor) -> list[tuple[int, int]]:
        """(first, last) use of each visit that can be prefetched for, and of each other use."""
        home = self.computation[tensor.time]
        found: list[tuple[int, int]] = []
        for number, use in enumerate(tensor.uses):
            caller = self._caller_in(home, use.time)
            if caller == use.time and self.children[caller] and use.copy_after is not None:
                inside = [first for first, last in found if self._caller_in(home, tensor.uses[first].time) == caller]
                found = [*found[: len(found) - len(inside)], (min([*inside, number]), number)]
            else:
                found.append((number, number))
        return found

    def _caller_in(self, home: int, time: int) -> int:
        """The time in computation ``home`` during which the instruction at ``time`` runs; ``time`` if in none."""
        outer: int | None = time
        while outer is not None and self.computation[outer] != home:
            outer = self.caller[self.computation[outer]]
        return time if outer is None else outer

    def _sites(self) -> list[Site]:
        found = []
        pinned = {
            id
            for number, group in enumerate(self.problem.groups)
            if self.pinnable[number] or self.evictions[number] is not None
            for id in group.tensors
        }
        read = {(id, number) for id in pinned for number in self.read_fast(id)}
        for time in range(len(self.problem.instructions)):
            for tensor, number in self.uses_at[time]:
                index = self.serving_at(tensor, number)
                serving = None if index is None else self.servings[tensor][index]
                copyable = serving is not None and serving.first == number and serving.earliest is not None
                if copyable or (tensor, number) in read:
                    found.append(Site(time, tensor, number))
            found.extend(Site(time, id, -1) for id in self.definitions_at[time] if id in pinned)
        return found
