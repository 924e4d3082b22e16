"""A formulation that every plan satisfies, small enough for programs of thousands of instructions.

Starts of copies and offsets are left out. A copy has to have crossed HBM by its use, in idle time since the earliest
possible start; what has crossed for later uses lies in fast memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from mallocgame.game.program import Program
from mallocgame.problem.reserved import reserved_bytes
from mallocgame.problem.schema import Problem
from mallocgame.solvers.exact.formulation import call, named, new_model
from mallocgame.solvers.exact.model import ZERO, Linear, Model, total
from mallocgame.solvers.exact.residence import Moved, Occupied, Residence, residence
from mallocgame.solvers.exact.timing import Outcome, elapsed

WINDOW = 32
"""Longest time, in instructions, in which copies are looked at apart from all others."""


def relax(problem: Problem) -> Model:
    """The relaxation of a problem; its optimum is a lower bound for the seconds of every plan under M, in units."""
    program = Program(problem)
    model = new_model(program)
    made = residence(model, program)
    read, written = _fast_bytes(program, made)
    steps = [elapsed(model, program, time, read[time], written[time]) for time in range(len(problem.instructions))]
    outcomes: dict[int, Outcome] = {}
    ahead: list[dict[int, Linear]] = [{} for _ in problem.computations]
    for number in sorted(range(len(problem.computations)), key=lambda number: -program.depth[number]):
        spent, idle = [], []
        for time in program.times[number]:
            called = call(model, program, time, outcomes)
            spent.append(steps[time].seconds + called.seconds)
            idle.append(named(model, total((steps[time].seconds, steps[time].hbm * -1.0, called.left))))
        fetches = [move for move in made.fetches if move.computation == number]
        evictions = [move for move in made.evictions if move.computation == number]
        outcomes[number], ahead[number] = _run(model, problem, idle, spent, fetches, evictions)
    _capacity(model, program, made.occupied, ahead)
    model.objective = outcomes[program.entry].seconds
    return model


def _fast_bytes(program: Program, made: Residence) -> tuple[list[Linear], list[Linear]]:
    count = len(program.problem.instructions)
    read: list[list[Linear]] = [[] for _ in range(count)]
    written: list[list[Linear]] = [[] for _ in range(count)]
    for tensor in program.problem.tensors:
        written[tensor.time].append(made.defined[tensor.id] * tensor.defined_bytes)
        for use in tensor.uses:
            read[use.time].append(made.resident.get((tensor.id, use.time), ZERO) * use.accessed_bytes)
    return [total(parts) for parts in read], [total(parts) for parts in written]


def _run(
    model: Model,
    problem: Problem,
    idle: Sequence[Linear],
    spent: Sequence[Linear],
    fetches: Sequence[Moved],
    evictions: Sequence[Moved],
) -> tuple[Outcome, dict[int, Linear]]:
    """One run of a computation, and what has crossed for later uses when each of its instructions begins, in units."""
    bandwidth = problem.target.hbm_bandwidth * model.unit
    inward = _Direction(model, fetches, len(idle), bandwidth)
    outward = _Direction(model, evictions, len(idle), bandwidth)
    directions = [direction for direction in (inward, outward) if direction.everything > 0.0]
    taken: list[Linear] = []
    stalls: list[Linear] = []
    ahead: dict[int, Linear] = {}
    for place in range(len(idle) + 1):
        if any(direction.due[place] for direction in directions):
            stalls += [direction.drain() for direction in directions]
        for direction in directions:
            direction.arrive(place)
        if place == len(idle):
            break
        limit = max(0.0, model.bounds(idle[place])[1])
        parts = [direction.drain(limit) for direction in directions if direction.possible is not ZERO]
        if inward.possible is not ZERO:
            ahead[place] = inward.before - inward.needed
        model.at_least(idle[place], total(parts))
        taken += parts
        for direction in directions:
            direction.release(place)
    for direction in directions:
        direction.windows()
    return Outcome(total((*spent, *stalls)), total((*idle, *(part * -1.0 for part in taken)))), ahead


class _Direction:
    """The copies of one direction in one run of a computation; both directions share what is idle.

    By each instruction the copies that it waits for have been drained; no more is drained than may have been started.

    Attributes:
        everything: units of HBM time that all copies need.
        due: at each position, demands that are waited for there.
        drained: so far, in units.
        before: what was drained when the present instruction began.
        needed: what had to be.
        possible: what may have been started.
    """

    def __init__(self, model: Model, moves: Sequence[Moved], count: int, bandwidth: float) -> None:
        self.model = model
        self.everything = sum(move.size for move in moves) / bandwidth
        self.due, self._coming = _by_place(moves, count, bandwidth)
        self._moves, self._bandwidth = moves, bandwidth
        self._arrived: dict[int, Linear] = {}
        self._released: dict[int, Linear] = {}
        self.drained = self.before = self.needed = self.possible = ZERO

    def drain(self, limit: float = inf) -> Linear:
        """How much of a span of time these copies take."""
        taking = self.model.time(0.0, min(limit, self.everything))
        self.drained = self._sum((self.drained, taking))
        self.model.at_least(self.possible, self.drained)
        return taking

    def arrive(self, place: int) -> None:
        """What is due at a position has been drained."""
        self.before = self._arrived[place] = self.drained
        if self.due[place]:
            self.needed = self._sum((self.needed, *self.due[place]))
            self.model.at_least(self.drained, self.needed)

    def release(self, place: int) -> None:
        """What may start after the instruction at a position may be drained from now on."""
        self._released[place] = self.drained
        if self._coming[place]:
            self.possible = self._sum((self.possible, *self._coming[place]))

    def windows(self) -> None:
        """In a short time between two instructions, the copies that fit in between are drained in between."""
        near = [move for move in self._moves if move.before - move.earliest <= WINDOW]
        starting: dict[int, list[Moved]] = {}
        for move in near:
            starting.setdefault(move.earliest, []).append(move)
        for first, last in sorted({(move.earliest, move.before) for move in near}):
            inside = (move for place in range(first, last) for move in starting.get(place, ()) if move.before <= last)
            needed = total(move.made * (move.size / self._bandwidth) for move in inside)
            self.model.at_least(self._arrived[last] - self._released[first], needed)

    def _sum(self, parts: Sequence[Linear]) -> Linear:
        variable = self.model.time(0.0, self.everything)
        self.model.equal(variable, total(parts))
        return variable


def _by_place(moves: Sequence[Moved], count: int, bandwidth: float) -> tuple[list[list[Linear]], list[list[Linear]]]:
    """At each position: demands in units that are due there, and those that may begin after it."""
    due: list[list[Linear]] = [[] for _ in range(count + 1)]
    coming: list[list[Linear]] = [[] for _ in range(count + 1)]
    for move in moves:
        demand = move.made * (move.size / bandwidth)
        due[move.before].append(demand)
        coming[move.earliest].append(demand)
    return due, coming


def _capacity(model: Model, program: Program, occupied: Sequence[Occupied], ahead: Sequence[dict[int, Linear]]) -> None:
    """At every time, what is resident and what has crossed ahead of its use fits beside what is reserved."""
    problem = program.problem
    room, reserved = problem.target.fast_bytes, reserved_bytes(program.problem)
    bytes_a_unit = problem.target.hbm_bandwidth * model.unit
    order = sorted(occupied, key=lambda part: part.start)
    active: list[Occupied] = []
    shared: dict[int, tuple[list[Occupied], Linear]] = {}
    coming = 0
    for time in range(len(problem.instructions)):
        active = [part for part in active if part.end >= time]
        while coming < len(order) and order[coming].start <= time:
            if order[coming].end >= time:
                active.append(order[coming])
            coming += 1
        groups: dict[int, list[Occupied]] = {}
        for part in active:
            groups.setdefault(part.group, []).append(part)
        for group, parts in groups.items():
            if group not in shared or shared[group][0] != parts:
                shared[group] = parts, _shared(model, parts) * (-1.0 / room)
        free = [shared[group][1] for group in groups]
        at: int | None = time
        while at is not None:
            computation = program.computation[at]
            crossed = ahead[computation].get(program.position[at])
            if crossed is not None:
                free.append(crossed * (-bytes_a_unit / room))
            at = program.caller[computation]
        model.at_least(total(free), min(0.0, reserved[time] / room - 1.0))


def _shared(model: Model, parts: Sequence[Occupied]) -> Linear:
    """Bytes of one group at one time: its tensors may share them."""
    if len(parts) == 1:
        return parts[0].fast * float(parts[0].size)
    largest = float(max(part.size for part in parts))
    variable = model.time(0.0, 1.0)
    for part in parts:
        model.at_least(variable, part.fast * (part.size / largest))
    return variable * largest
