"""A formulation that every plan satisfies, small enough for programs of thousands of instructions.

Starts of copies and offsets are left out. A copy has to have crossed HBM by its use, in idle time since the earliest
possible start; what has crossed for later uses lies in fast memory.
"""

from __future__ import annotations

from collections.abc import Sequence

from mallocgame.exact.formulation import call, named, new_model
from mallocgame.exact.model import ZERO, Linear, Model, total
from mallocgame.exact.residence import Moved, Occupied, Residence, residence
from mallocgame.exact.timing import Outcome, elapsed
from mallocgame.game.program import Program
from mallocgame.problem.schema import Problem


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
    """One run of a computation, and what has crossed for later uses when each of its instructions begins, in units.

    All copies share what is idle. By each instruction the copies that it waits for have been drained; no more is
    drained than could have been started.
    """
    if not fetches and not evictions:
        return Outcome(total(spent), total(idle)), {}
    bandwidth = problem.target.hbm_bandwidth * model.unit
    count = len(idle)
    everything = sum(move.size for move in (*fetches, *evictions)) / bandwidth
    due, coming, leaving = _by_place(fetches, evictions, count, bandwidth)
    drained = needed = possible = left_behind = ZERO
    taken, stalls, ahead = [], [], {}
    for place in range(count + 1):
        if due[place]:
            needed = _sum(model, (needed, *due[place]), everything)
            if place < count:
                stall = model.time(0.0, everything)
                stalls.append(stall)
                drained = _sum(model, (drained, stall), everything)
            model.at_least(drained, needed)
        if place == count:
            break
        if possible is not ZERO:
            model.at_least(possible, drained)
            ahead[place] = _positive(model, total((drained, needed * -1.0, left_behind * -1.0)), everything)
            taking = model.time(0.0, min(max(0.0, model.bounds(idle[place])[1]), everything))
            model.at_least(idle[place], taking)
            taken.append(taking)
            drained = _sum(model, (drained, taking), everything)
            model.at_least(possible, drained)
        if coming[place]:
            possible = _sum(model, (possible, *coming[place]), everything)
        if leaving[place]:
            left_behind = _sum(model, (left_behind, *leaving[place]), everything)
    unfinished = model.time(0.0, everything)
    model.at_least(drained + unfinished, needed)
    seconds = total((*spent, *stalls, unfinished))
    return Outcome(seconds, total((*idle, *(taking * -1.0 for taking in taken)))), ahead


def _by_place(
    fetches: Sequence[Moved], evictions: Sequence[Moved], count: int, bandwidth: float
) -> tuple[list[list[Linear]], list[list[Linear]], list[list[Linear]]]:
    """At each position: demands that are due, demands that may have begun after it, evictions among these."""
    due: list[list[Linear]] = [[] for _ in range(count + 1)]
    coming: list[list[Linear]] = [[] for _ in range(count + 1)]
    leaving: list[list[Linear]] = [[] for _ in range(count + 1)]
    for move in fetches:
        demand = move.made * (move.size / bandwidth)
        due[move.before].append(demand)
        coming[move.earliest].append(demand)
    for move in evictions:
        demand = move.made * (move.size / bandwidth)
        coming[move.earliest].append(demand)
        leaving[move.earliest].append(demand)
        due[count].append(demand)
    return due, coming, leaving


def _sum(model: Model, parts: Sequence[Linear], most: float) -> Linear:
    """A variable that is the sum."""
    variable = model.time(0.0, most)
    model.equal(variable, total(parts))
    return variable


def _positive(model: Model, expression: Linear, most: float) -> Linear:
    """A variable that is not below an expression, nor below 0."""
    variable = model.time(0.0, most)
    model.at_least(variable, expression)
    return variable


def _capacity(model: Model, program: Program, occupied: Sequence[Occupied], ahead: Sequence[dict[int, Linear]]) -> None:
    """At every time, what is resident and what has crossed ahead of its use fits into fast memory."""
    problem = program.problem
    room = problem.target.fast_bytes
    bytes_a_unit = problem.target.hbm_bandwidth * model.unit
    order = sorted(occupied, key=lambda part: part.start)
    active: list[Occupied] = []
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
        taken = [_shared(model, parts) * (1.0 / room) for parts in groups.values()]
        at: int | None = time
        while at is not None:
            computation = program.computation[at]
            crossed = ahead[computation].get(program.position[at])
            if crossed is not None:
                taken.append(crossed * (bytes_a_unit / room))
            at = program.caller[computation]
        model.at_least(1.0, total(taken))


def _shared(model: Model, parts: Sequence[Occupied]) -> Linear:
    """Bytes of one group at one time: its tensors may share them."""
    if len(parts) == 1:
        return parts[0].fast * float(parts[0].size)
    largest = float(max(part.size for part in parts))
    variable = model.time(0.0, 1.0)
    for part in parts:
        model.at_least(variable, part.fast * (part.size / largest))
    return variable * largest
