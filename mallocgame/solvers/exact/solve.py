"""The exact answer: solve the formulation, give the plan offsets, replay it; cut off what does not hold, and again.

What the formulation leaves open is decided here, by what the answer really is. A plan whose stays have no offsets is
cut off, with every other plan that holds the same conflict. A plan that the replay finds slower than the model says
(branches: the model may choose the slowest of equally slow ones) is cut off alone. So the formulation has to be right
in one direction only: no plan is slower in it than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import inf
from time import monotonic
from typing import Literal

from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.validate import inexpressible, validate
from mallocgame.problem.schema import Problem
from mallocgame.solvers.exact.answer import Exact, ModelAnswer, Status
from mallocgame.solvers.exact.cp_sat import solve_by_cp_sat
from mallocgame.solvers.exact.formulation import Formulation, constrain, decide, written_fast
from mallocgame.solvers.exact.highs import solve_by_highs
from mallocgame.solvers.exact.model import Linear, Model, total
from mallocgame.solvers.exact.offsets import Part, find_offsets
from mallocgame.system.errors import BadInputError

Backend = Literal["cp-sat", "highs"]

BACKENDS: dict[Backend, Callable[[Model, float, int, int], ModelAnswer]] = {
    "cp-sat": solve_by_cp_sat,
    "highs": solve_by_highs,
}

PROVEN_GAP = 1e-6
"""A plan that is above the bound by no more than this share of it is optimal: what rounding and tolerances allow."""

MOST_STARTS = 50_000
"""Starts of copies that a formulation may have."""


def solve_exactly(
    problem: Problem,
    *,
    backend: Backend = "cp-sat",
    time_limit: float = 60.0,
    seed: int = 0,
    workers: int = 2,
    fixed: Plan | None = None,
    free_groups: Collection[int] = (),
    barred: Collection[int] = (),
) -> Exact:
    """The best plan of the game under M, with proof if the time allows.

    Args:
        problem: to be solved.
        backend: ``"cp-sat"`` or ``"highs"``.
        time_limit: seconds.
        seed: of the solver.
        workers: threads of the solver.
        fixed: a plan of the game; all groups that are not in ``free_groups`` do what it does (offsets are found
            anew), and the answer is at least as good. None: everything is free.
        free_groups: see ``fixed``.
        barred: groups that have to be in HBM, unless ``fixed`` says otherwise.

    Raises:
        BadInputError: the solver is not installed, or ``fixed`` is not valid.
    """
    if backend not in BACKENDS:
        raise BadInputError(f"unknown backend {backend!r}; known: {', '.join(BACKENDS)}")
    started = monotonic()
    if fixed is not None:
        if violations := validate(problem, fixed):
            raise BadInputError(f"the plan to start from is not valid: {violations[0].message}")
        if reasons := inexpressible(problem, fixed):
            return Exact(None, inf, 0.0, "unsupported", reasons[0].message)
    formulation = decide(problem, fixed, free_groups, barred)
    starts = formulation.choices.starts
    if starts > MOST_STARTS:
        return Exact(None, inf, 0.0, "unsupported", f"{starts} starts of copies, at most {MOST_STARTS} are solved")
    constrain(formulation)
    search = _Search(formulation, backend, started + time_limit, seed, workers)
    if fixed is not None:
        search.best, search.seconds = fixed, replay_plan(problem, fixed, "M").total
    return search.run()


class _Search:
    """Solving with cuts."""

    def __init__(self, formulation: Formulation, backend: Backend, deadline: float, seed: int, workers: int) -> None:
        self.formulation, self.backend, self.deadline = formulation, backend, deadline
        self.seed, self.workers = seed, workers
        self.best: Plan | None = None
        self.seconds, self.bound = inf, 0.0

    def run(self) -> Exact:
        model = self.formulation.model
        while True:
            left = self.deadline - monotonic()
            answer = self._answer(model, left)
            self.bound = max(self.bound, min(answer.bound * model.unit, self.seconds))
            if answer.values is None:
                return self._end(answer.status)
            cut = self._look_at(answer.values)
            if self._is_proven():
                return self._end("optimal")
            if cut is None or answer.status != "optimal":
                return self._end("feasible")
            model.at_least(cut, 1.0)

    def _answer(self, model: Model, time_limit: float) -> ModelAnswer:
        if not model.lower:
            return ModelAnswer("optimal", [], model.objective.constant)
        return BACKENDS[self.backend](model, time_limit, self.seed, self.workers)

    def _is_proven(self) -> bool:
        return self.best is not None and self.seconds <= self.bound * (1 + PROVEN_GAP)

    def _end(self, status: Status) -> Exact:
        if self.best is not None and (status == "infeasible" or self._is_proven()):
            status = "optimal"
        elif self.best is not None:
            status = "feasible"
        elif status == "feasible":
            status = "time limit"
        return Exact(self.best, self.seconds, min(self.bound, self.seconds), status)

    def _look_at(self, values: list[float]) -> Linear | None:
        """Keep the plan if it is the best; an expression that must be at least 1 to go on, None where nothing helps."""
        problem = self.formulation.program.problem
        plan = decode(self.formulation, values)
        offsets = find_offsets(problem, plan, self.deadline - monotonic(), self.seed)
        if offsets.plan is None:
            return _not_together(self.formulation, values, offsets.conflict) if offsets.proven else None
        seconds = replay_plan(problem, offsets.plan, "M").total
        if seconds < self.seconds:
            self.best, self.seconds = offsets.plan, seconds
        return _another(self.formulation, values)


def decode(formulation: Formulation, values: list[float]) -> Plan:
    """The plan that the variables' values mean; all offsets are 0."""
    program, made = formulation.program, formulation.choices
    problem = program.problem
    definitions: set[int] = set()
    uses: set[tuple[int, int]] = set()
    stays: list[Stay] = []
    copies: list[Copy] = []
    for tensor in problem.tensors:
        if written_fast(program, made, tensor.id).value(values) > 0.5:
            definitions.add(tensor.id)
            uses.update((tensor.id, number) for number in program.read_fast(tensor.id))
            stays.append(Stay(tensor.id, *program.lasting(tensor.id), 0))
            eviction = program.eviction_of(tensor.group)
            if eviction is not None and eviction.tensor == tensor.id:
                copies.append(Copy(tensor.id, "eviction", eviction.after, eviction.before))
    for tensor_id, servings in made.served.items():
        for number, served in sorted(servings.items()):
            if served.fast.value(values) <= 0.5:
                continue
            serving, first = served.serving, served.serving.first
            if served.kept.value(values) > 0.5:
                first = program.servings[tensor_id][number - 1].last + 1
                stay = stays.pop()
                stays.append(Stay(tensor_id, stay.start, serving.before, 0))
            else:
                place = next(place for place, start in served.starts if start.value(values) > 0.5)
                after = program.times[program.computation[serving.before]][place]
                copies.append(Copy(tensor_id, "prefetch", after, serving.before))
                stays.append(Stay(tensor_id, after + 1, serving.before, 0))
            uses.update((tensor_id, use) for use in range(first, serving.last + 1))
    copies.sort(key=lambda copy: (copy.after, copy.tensor))
    return Plan(problem.fingerprint, frozenset(definitions), frozenset(uses), tuple(sorted(stays)), tuple(copies))


def _another(formulation: Formulation, values: list[float]) -> Linear:
    """In how many decisions a plan differs from the one of these values."""
    return total(
        Linear({variable: -1.0}, 1.0) if values[variable] > 0.5 else Linear({variable: 1.0})
        for variable in formulation.choices.variables()
    )


def _not_together(formulation: Formulation, values: list[float], conflict: tuple[Part, ...]) -> Linear:
    """How many of the decisions for these stays are not taken; a longer stay counts as another one."""
    made = formulation.choices
    tensors = formulation.program.problem.tensors
    stays = {(stay.tensor, stay.start): stay for part in conflict for stay in part}
    groups = {tensors[stay.tensor].group for stay in stays.values()}
    variables: set[int] = set()
    for group in groups:
        if made.pinned[group].value(values) > 0.5:
            variables.update(made.pinned[group].terms)
    for served in made.all_served():
        if served.fast.value(values) < 0.5:
            continue
        if any(
            stay.tensor == served.tensor and stay.start <= served.serving.before <= stay.end for stay in stays.values()
        ):
            taken = [served.kept, *(start for _, start in served.starts)]
            variables.update(variable for part in taken if part.value(values) > 0.5 for variable in part.terms)
    return total(Linear({variable: -1.0}, 1.0) for variable in variables)
