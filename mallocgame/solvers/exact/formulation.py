"""The whole formulation of a problem: a plan's decisions, capacity, and its seconds under M."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mallocgame.game.program import Program
from mallocgame.game.timeline import Timeline
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.solvers.exact.choices import Choices, capacity, choices
from mallocgame.solvers.exact.model import ZERO, Linear, Model, total
from mallocgame.solvers.exact.timing import Outcome, QueuedCopy, elapsed, run, slowest

UNITS = 1000.0
"""The time of the program with everything in HBM, in units of a model."""


@dataclass(frozen=True)
class Formulation:
    """A model and what its variables mean."""

    model: Model
    program: Program
    choices: Choices


def decide(
    problem: Problem, fixed: Plan | None = None, free: Collection[int] = (), barred: Collection[int] = ()
) -> Formulation:
    """The plans of the game on a problem, as decisions that nothing constrains yet.

    Args:
        problem: to be solved.
        fixed: where given, the groups that are not in ``free`` do what this plan does.
        free: see ``fixed``.
        barred: of the groups that are free, those that have to be in HBM.
    """
    program = Program(problem)
    model = new_model(program)
    return Formulation(model, program, choices(model, program, fixed, free, barred))


def constrain(formulation: Formulation) -> None:
    """Add capacity, by the sizes that are live at once, and the seconds under M; offsets are left open.

    Rows and time grow faster than ``Choices.starts``.
    """
    model, program, made = formulation.model, formulation.program, formulation.choices
    problem = program.problem
    capacity(model, program, made)
    read, written = fast_bytes(program, made)
    steps = [elapsed(model, program, time, read[time], written[time]) for time in range(len(problem.instructions))]
    fetches, evictions = _copies(model, program, made)
    outcomes: dict[int, Outcome] = {}
    for number in sorted(range(len(fetches)), key=lambda number: -program.depth[number]):
        spent, idle = [], []
        for time in program.times[number]:
            called = call(model, program, time, outcomes)
            spent.append(steps[time].seconds + called.seconds)
            idle.append(named(model, total((steps[time].seconds, steps[time].hbm * -1.0, called.left))))
        outcomes[number] = run(model, idle, spent, (fetches[number], evictions[number]))
    model.objective = outcomes[program.entry].seconds


def _copies(model: Model, program: Program, made: Choices) -> tuple[list[list[QueuedCopy]], list[list[QueuedCopy]]]:
    """Per computation, the prefetches and the evictions that may be."""
    problem = program.problem
    bandwidth = problem.target.hbm_bandwidth * model.unit
    fetches: list[list[QueuedCopy]] = [[] for _ in problem.computations]
    evictions: list[list[QueuedCopy]] = [[] for _ in problem.computations]
    for served in made.all_served():
        if served.starts:
            before = served.serving.before
            demand = problem.tensors[served.tensor].size / bandwidth
            queued = QueuedCopy(served.tensor, program.position[before], demand, served.starts)
            fetches[program.computation[before]].append(queued)
    for group in range(len(problem.groups)):
        eviction = program.eviction_of(group)
        if eviction is None:
            continue
        written = written_fast(program, made, eviction.tensor)
        if written is not ZERO:
            demand = problem.tensors[eviction.tensor].size / bandwidth
            starts = ((program.position[eviction.after], written),)
            queued = QueuedCopy(eviction.tensor, program.position[eviction.before], demand, starts)
            evictions[program.computation[eviction.before]].append(queued)
    return fetches, evictions


def new_model(program: Program) -> Model:
    """An empty model with times in units that suit the program."""
    return Model((Timeline(program).total or 1.0) / UNITS)


def named(model: Model, expression: Linear) -> Linear:
    """A variable for a long expression that is only ever wanted as large as it is; a short one as it stands."""
    if len(expression.terms) <= 4:
        return expression
    low, high = model.bounds(expression)
    variable = model.time(min(0.0, low), max(0.0, high))
    model.at_least(expression, variable)
    return variable


def call(model: Model, program: Program, time: int, outcomes: dict[int, Outcome]) -> Outcome:
    """What the instruction at a time calls: all that is no branch, and the slowest branch."""
    children = program.children[time]
    parts, branches = [], []
    for number in children:
        child = program.problem.computations[number]
        outcome = outcomes[number]
        if child.kind == "branch":
            branches.append(Outcome(outcome.seconds * child.trips, outcome.left * child.trips))
        else:
            parts.append(Outcome(outcome.seconds * child.trips, outcome.left * child.trips))
    if branches:
        parts.append(slowest(model, branches))
    return Outcome(total(part.seconds for part in parts), total(part.left for part in parts))


def fast_bytes(program: Program, made: Choices) -> tuple[list[Linear], list[Linear]]:
    """For each time the bytes that its instruction reads from fast memory, and those that it writes there."""
    count = len(program.problem.instructions)
    read: list[list[Linear]] = [[] for _ in range(count)]
    written: list[list[Linear]] = [[] for _ in range(count)]
    for tensor in program.problem.tensors:
        defined = written_fast(program, made, tensor.id)
        if defined is not ZERO:
            written[tensor.time].append(defined * tensor.defined_bytes)
            for number in program.read_fast(tensor.id):
                read[tensor.uses[number].time].append(defined * tensor.uses[number].accessed_bytes)
        for number, use in enumerate(tensor.uses):
            read[use.time].append(_served_use(program, made, tensor.id, number) * use.accessed_bytes)
    return [total(parts) for parts in read], [total(parts) for parts in written]


def written_fast(program: Program, made: Choices, tensor: int) -> Linear:
    """1 where a tensor is written to fast memory, and read there."""
    return made.carried.get(tensor, made.pinned[program.problem.tensors[tensor].group])


def _served_use(program: Program, made: Choices, tensor: int, number: int) -> Linear:
    """1 where a use reads a prefetched copy."""
    served = made.served.get(tensor)
    if served is None:
        return ZERO
    index = program.serving_at(tensor, number)
    if index is not None:
        return served[index].fast if index in served else ZERO
    after = next((place for place, serving in enumerate(program.servings[tensor]) if serving.first > number), None)
    return served[after].kept if after is not None and after in served else ZERO
