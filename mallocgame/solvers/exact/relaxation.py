"""A formulation that every plan satisfies, small enough for programs of thousands of instructions.

Starts of copies and offsets are left out. A copy has to have crossed HBM by its use, in idle time since the earliest
possible start; what has crossed for later uses lies in fast memory, and what is evicted does until it has crossed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from mallocgame.game.program import Program
from mallocgame.problem.reserved import reserved_bytes
from mallocgame.problem.schema import Problem
from mallocgame.solvers.exact.formulation import call, named, new_model
from mallocgame.solvers.exact.model import ZERO, Linear, Model, total
from mallocgame.solvers.exact.residence import Held, Moved, Occupied, Residence, residence
from mallocgame.solvers.exact.timing import Elapsed, Outcome, elapsed

WINDOW = 32
"""Longest time, in instructions, in which copies are looked at apart from all others."""


def relax(problem: Problem) -> Model:
    """The relaxation of a problem; its optimum is a lower bound for the seconds of every plan under M, in units."""
    program = Program(problem)
    model = new_model(program)
    made = residence(model, program)
    read, written = _fast_bytes(program, made)
    steps = [elapsed(model, program, time, read[time], written[time]) for time in range(len(problem.instructions))]
    for time, instead in made.replaced.items():
        steps[time] = _unless(model, instead, steps[time], time)
    outcomes: dict[int, Outcome] = {}
    beside: list[dict[int, Linear]] = [{} for _ in problem.computations]
    for number in sorted(range(len(problem.computations)), key=lambda number: -program.depth[number]):
        spent, idle = [], []
        for time in program.times[number]:
            model.now = time
            called = call(model, program, time, outcomes)
            spent.append(steps[time].seconds + called.seconds)
            idle.append(named(model, total((steps[time].seconds, steps[time].hbm * -1.0, called.left))))
        fetches = [move for move in made.fetches if move.computation == number]
        evictions = [move for move in made.evictions if move.computation == number]
        held = [part for part in made.held if part.computation == number]
        run = _Run(program.times[number], idle, spent, fetches, evictions, held)
        outcomes[number], beside[number] = _run(model, program, run)
    _capacity(model, program, made.occupied, beside)
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


def _unless(model: Model, replaced: Linear, step: Elapsed, time: int) -> Elapsed:
    """An instruction that takes no time where it is replaced."""
    model.now = time
    parts = []
    for part in (step.seconds, step.hbm):
        most = max(0.0, model.bounds(part)[1])
        parts.append(model.time(0.0, most))
        model.at_least(parts[-1], part - replaced * most)
    return Elapsed(*parts)


class _Run(NamedTuple):
    """One run of a computation: per position its time, what is idle, and how long it lasts; and the copies."""

    times: Sequence[int]
    idle: Sequence[Linear]
    spent: Sequence[Linear]
    fetches: Sequence[Moved]
    evictions: Sequence[Moved]
    held: Sequence[Held]


def _run(model: Model, program: Program, run: _Run) -> tuple[Outcome, dict[int, Linear]]:
    """How a run goes, and what copies have in fast memory during each of its instructions, in units.

    That is what has crossed for later uses when it ends, for it was started before; and what evictions had not drained
    when it began, for they are waited for after it. Both have their bytes all the time, also throughout a call. So an
    eviction may be waited for anywhere, to make room. What a prefetch for later gets of such a wait it may as well get
    while its own use waits, so there is none for that.
    """
    bandwidth, count = program.problem.target.hbm_bandwidth * model.unit, len(run.idle)
    inward = _Direction(model, run.fetches, count, bandwidth)
    outward = _Direction(model, run.evictions, count, bandwidth)
    directions = [direction for direction in (inward, outward) if direction.everything > 0.0]
    taken: list[Linear] = []
    stalls: list[Linear] = []
    beside: dict[int, Linear] = {}
    held = _held(model, run, bandwidth)
    for place in range(count + 1):
        model.now = run.times[min(place, count - 1)]
        due = any(direction.due[place] for direction in directions)
        stalls += [direction.drain() for direction in directions if due or direction is outward]
        for direction in directions:
            direction.arrive(place)
        if place == count:
            break
        limit = max(0.0, model.bounds(run.idle[place])[1])
        parts = [direction.drain(limit) for direction in directions if direction.possible is not ZERO]
        beside[place] = inward.drained - inward.needed
        if held[place] is not ZERO:
            waiting = model.time(0.0, outward.everything)
            model.at_least(waiting, held[place] - outward.before)
            beside[place] += waiting
        model.at_least(run.idle[place], total(parts))
        taken += parts
        for direction in directions:
            direction.release(place)
    for direction in directions:
        direction.windows(run.times)
    outcome = Outcome(total((*run.spent, *stalls)), total((*run.idle, *(part * -1.0 for part in taken))))
    return outcome, beside


def _held(model: Model, run: _Run, bandwidth: float) -> list[Linear]:
    """At each position, all that evictions read, drained or not, in units."""
    changes: list[list[Linear]] = [[] for _ in range(len(run.times) + 2)]
    for part in run.held:
        if part.fast.terms and part.first <= part.last:
            changes[part.first].append(part.fast * (part.size / bandwidth))
            changes[part.last + 1].append(part.fast * (-part.size / bandwidth))
    most = sum(part.size for part in run.held) / bandwidth
    found, now = [], ZERO
    for time, change in zip(run.times, changes, strict=False):
        model.now = time
        if change:
            more = model.time(0.0, most)
            model.at_least(more, total((now, *change)))
            now = more
        found.append(now)
    return found


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

    def windows(self, times: Sequence[int]) -> None:
        """In a short time between two instructions, the copies that fit in between are drained in between."""
        near = [move for move in self._moves if move.before - move.earliest <= WINDOW]
        starting: dict[int, list[Moved]] = {}
        for move in near:
            starting.setdefault(move.earliest, []).append(move)
        for first, last in sorted({(move.earliest, move.before) for move in near}):
            self.model.now = times[min(last, len(times) - 1)]
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


def _capacity(
    model: Model, program: Program, occupied: Sequence[Occupied], beside: Sequence[dict[int, Linear]]
) -> None:
    """At every time, what is resident and what copies have there fits beside what is reserved."""
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
        model.now = time
        for part in active:
            groups.setdefault(part.group, []).append(part)
        for group, parts in groups.items():
            if group not in shared or shared[group][0] != parts:
                shared[group] = parts, _shared(model, parts) * (-1.0 / room)
        free = [shared[group][1] for group in groups]
        at: int | None = time
        while at is not None:
            computation = program.computation[at]
            free.append(beside[computation].get(program.position[at], ZERO) * (-bytes_a_unit / room))
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
