"""The solvers of the offload game, by name: what each takes and gives."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Literal

from mallocgame.offload import judge
from mallocgame.offload.exact import solve_exactly
from mallocgame.offload.plan import OffloadPlan
from mallocgame.offload.problem import MOVES, Move, OffloadProblem, decisions, moves_of
from mallocgame.offload.rules import Moves, Played, everywhere, keep_all, play
from mallocgame.offload.solver_name import SOLVERS, SolverName
from mallocgame.system.errors import BadInputError

Status = Literal["optimal", "feasible", "infeasible", "time limit", "converged"]
"""``"optimal"`` and ``"infeasible"`` are proven."""

PATIENCE = 4000
"""Moves that the local search tries in vain before it stops."""


@dataclass(frozen=True)
class OffloadSolution:
    """What a solver found.

    Attributes:
        plan: one that holds; None where there is none, or none was found.
        status: see ``Status``.
        judged: of the plan, by the judge.
        bound: no plan is quicker, in seconds.
    """

    plan: OffloadPlan | None
    status: Status
    judged: judge.Judged | None
    bound: float


def solve(
    problem: OffloadProblem, budget: int, *, solver: SolverName = "exact", time_limit: float = 30.0, seed: int = 0
) -> OffloadSolution:
    """Find the quickest plan that holds no more than ``budget`` bytes of device memory in any step.

    Args:
        problem: to be solved.
        budget: bytes.
        solver: ``"greedy"`` is one pass; ``"local"`` tries moves from there; ``"exact"`` starts from local's answer and
            proves.
        time_limit: seconds.
        seed: of random choices.

    Raises:
        BadInputError: unknown solver, or ortools is not installed.
    """
    if solver not in SOLVERS:
        raise BadInputError(f"unknown solver {solver!r}; known: {', '.join(SOLVERS)}")
    deadline = monotonic() + time_limit
    best = greedy(problem, budget)
    status: Status = "feasible"
    if solver != "greedy":
        best = local(problem, budget, best, seed, min(deadline, monotonic() + time_limit / 4), PATIENCE)
        status = "converged"
    plan = best.plan if best is not None and best.excess == 0 else None
    bound = problem.seconds
    if solver == "exact":
        hint = best.plan.moves if best is not None else None
        exact = solve_exactly(problem, budget, deadline - monotonic(), seed, hint)
        bound, status = max(bound, exact.bound), exact.status
        if exact.plan is not None and (plan is None or _seconds(problem, exact.plan) < _seconds(problem, plan)):
            plan = exact.plan
        if plan is not None:
            status = "optimal" if exact.status == "optimal" else "feasible"
    if plan is None:
        return OffloadSolution(None, status if status == "infeasible" else "time limit", None, bound)
    return OffloadSolution(plan, status, judge.replay(problem, plan), bound)


def _seconds(problem: OffloadProblem, plan: OffloadPlan) -> float:
    return judge.replay(problem, plan).seconds


def _rank(problem: OffloadProblem, played: Played | None) -> tuple[float, float, int]:
    """Less is better: what does not fit, the time, and of equal ones what is copied or made again.

    A copy that the model hides is one that the compiler may not hide.
    """
    if played is None:
        return float("inf"), 0.0, 0
    touched = [copy.tensor for copy in played.plan.copies] + [remake.tensor for remake in played.plan.remakes]
    return float(played.excess), played.seconds, sum(problem.tensors[number].size for number in touched)


def greedy(problem: OffloadProblem, budget: int) -> Played | None:
    """Gap by gap the move that frees most for its time, until the plan fits or nothing helps."""
    moves = keep_all(problem)
    best = play(problem, moves, budget)
    while best is not None and best.excess:
        found: tuple[float, Moves, Played] | None = None
        for changed in _changes(problem, moves):
            played = play(problem, changed, budget)
            if played is None or played.excess >= best.excess:
                continue
            price = max(0.0, played.seconds - best.seconds) / (best.excess - played.excess)
            if found is None or price < found[0]:
                found = price, changed, played
        if found is None:
            return best
        _, moves, best = found
    return best


def _changes(problem: OffloadProblem, moves: Moves) -> list[Moves]:
    """All moves that differ in one decision."""
    return [
        _with(moves, together, gap, move)
        for together, gap in _sites(problem)
        for move in moves_of(problem, together)
        if move != moves[together[0]][gap]
    ]


def _sites(problem: OffloadProblem) -> list[tuple[tuple[int, ...], int]]:
    """What is decided: (tensors, gap)."""
    return [(together, gap) for together in decisions(problem) for gap in range(len(problem.tensors[together[0]].gaps))]


def _with(moves: Moves, together: tuple[int, ...], gap: int, move: Move) -> Moves:
    changed = list(moves)
    for number in together:
        changed[number] = (*moves[number][:gap], move, *moves[number][gap + 1 :])
    return tuple(changed)


def local(
    problem: OffloadProblem, budget: int, start: Played | None, seed: int, deadline: float, patience: int
) -> Played | None:
    """Change one to three decisions at a time; keep what is not worse."""
    best, sites, rank = start, _sites(problem), partial(_rank, problem)
    for move in MOVES:
        best = min((best, play(problem, everywhere(problem, move, "offload"), budget)), key=rank)
    if not sites or best is None:
        return best
    generator = random.Random(seed)
    current, idle = best, 0
    while idle < patience and monotonic() < deadline:
        moves = current.plan.moves
        for together, gap in generator.sample(sites, min(len(sites), generator.choice((1, 1, 2, 3)))):
            moves = _with(moves, together, gap, generator.choice(moves_of(problem, together)))
        played = play(problem, moves, budget)
        idle += 1
        if played is not None and rank(played) <= rank(current):
            current = played
            if rank(current) < rank(best):
                best, idle = current, 0
    return best
