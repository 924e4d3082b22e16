"""A problem as the flat tables that the game and the solvers look things up in."""

from __future__ import annotations

from typing import NamedTuple

from mallocgame.problem.schema import Problem

NOT_PRODUCED = frozenset({"parameter", "constant"})
"""Opcodes whose results are in HBM before the program runs."""


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


class Program:
    """Static tables of one problem; never changed after construction.

    Attributes:
        problem: what they were made from.
        entry: index of the entry computation.
        times: per computation, the times of its own instructions (callees' excluded), ascending.
        position: per time, the index in its computation's ``times``.
        depth: per computation, how many computations enclose it.
        children: per time, the computations called there.
        pinnable: per group, whether it may be pinned at all: nothing of it is ``fixed`` or has an
            ``hbm_definition``, and its largest tensor fits into fast memory.
        single: per group, whether it has one tensor.
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
        self.depth = [self._depth(number) for number in range(len(problem.computations))]
        self.uses_at = problem.uses_at
        self.definitions_at = problem.definitions_at
        self.single = [len(group.tensors) == 1 for group in problem.groups]
        self.pinnable = [self._pinnable(number) for number in range(len(problem.groups))]
        self.sites = tuple(self._sites())
        self.first_site = [-1] * len(problem.groups)
        self.last_definition_site = [-1] * len(problem.groups)
        for number, site in enumerate(self.sites):
            group = problem.tensors[site.tensor].group
            if self.first_site[group] < 0:
                self.first_site[group] = number
            if site.use < 0:
                self.last_definition_site[group] = number

    def copyable(self, tensor: int, number: int) -> bool:
        """Whether a prefetch could ever serve this use of a tensor.

        It takes a single-tensor group that is not fixed and fits, an allowed start, and, if an instruction produces the
        tensor (it is no parameter or constant), an earlier use: a produced tensor whose first use is not kept in HBM is
        produced in fast memory (measured, libtpu 0.0.52; docs/expressibility.md).
        """
        value = self.problem.tensors[tensor]
        use = value.uses[number]
        return (
            self.single[value.group]
            and value.fixed is None
            and use.copy_after is not None
            and value.size <= self.problem.target.fast_bytes
            and (number > 0 or self.problem.instructions[value.time].opcode in NOT_PRODUCED)
            and self.earliest_position(use.time, use.copy_after) < self.position[use.time]
        )

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

    def executions(self, computation: int) -> int:
        """How often a computation runs in one run of the program: the product of the trips that enclose it."""
        runs = 1
        number: int | None = computation
        while number is not None:
            runs *= self.problem.computations[number].trips
            caller = self.caller[number]
            number = None if caller is None else self.computation[caller]
        return runs

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

    def _sites(self) -> list[Site]:
        found = []
        for time in range(len(self.problem.instructions)):
            for tensor, number in self.uses_at[time]:
                value = self.problem.tensors[tensor]
                if self.pinnable[value.group] or self.copyable(tensor, number):
                    found.append(Site(time, tensor, number))
            definitions = (id for id in self.definitions_at[time] if self.pinnable[self.problem.tensors[id].group])
            found.extend(Site(time, id, -1) for id in definitions)
        return found
