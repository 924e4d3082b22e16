"""The exact solver: CP-SAT over moves, copies' windows and times, with a proof where it finishes.

While both directions together may use the sum of their rates, the formulation is exact up to the rounding of times to
ticks; where they share less, it is a relaxation. Times are rounded down, so its bound holds either way, and what a
plan takes is what the judge says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from mallocgame.offload import judge
from mallocgame.offload.plan import HostCopy, OffloadPlan, Remake
from mallocgame.offload.problem import Move, OffloadProblem, decisions
from mallocgame.offload.rules import Moves
from mallocgame.system.errors import BadInputError

TICKS = 2**26
"""Ticks in the time of the program with everything kept."""

PROVEN_GAP = 1e-5
"""A plan above the bound by no more than this share of it is optimal: rounding of a thousand times is below."""

Proof = Literal["optimal", "feasible", "infeasible", "time limit"]


@dataclass(frozen=True)
class ExactAnswer:
    """What CP-SAT found: a plan or None, no plan is quicker than ``bound`` seconds."""

    plan: OffloadPlan | None
    bound: float
    status: Proof


@dataclass(frozen=True)
class _Gap:
    """The variables of one gap; each list is by step, from the first step in the gap to the last.

    Attributes:
        start, end: steps of the accesses around it.
        offloads, recomputes: whether it is that move.
        leaving: whether the copy to the host still holds device memory, falling; empty where none may be needed.
        coming: whether the copy from the host holds device memory already, rising.
        back: whether it is to be there for whoever needs it, rising.
    """

    start: int
    end: int
    offloads: Any
    recomputes: Any
    leaving: list[Any]
    coming: list[Any]
    back: list[Any]
    there: Any
    fetch: tuple[Any, Any]
    evict: tuple[Any, Any]


def solve_exactly(
    problem: OffloadProblem, budget: int, time_limit: float, seed: int, hint: Moves | None = None, workers: int = 2
) -> ExactAnswer:
    """The quickest plan of all: any moves, any windows of copies, any time of recomputation.

    Raises:
        BadInputError: ortools is not installed.
    """
    try:
        from ortools.sat.python import cp_model
    except ImportError:
        raise BadInputError("the solver exact needs ortools: pip install 'mallocgame[solve]'") from None
    model = cp_model.CpModel()
    formulation = _Formulation(problem, budget, model)
    if hint is not None:
        formulation.hint(hint)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = max(0.01, time_limit)
    solver.parameters.random_seed = seed
    solver.parameters.num_workers = workers
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return ExactAnswer(None, math.inf, "infeasible")
    bound = max(0.0, solver.best_objective_bound) * formulation.tick
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return ExactAnswer(None, bound, "time limit")
    plan = formulation.decode(solver)
    proven = judge.replay(problem, plan).seconds <= bound * (1 + PROVEN_GAP)
    return ExactAnswer(plan, bound, "optimal" if proven else "feasible")


class _Formulation:
    def __init__(self, problem: OffloadProblem, budget: int, model: Any) -> None:
        self.problem, self.model = problem, model
        copied = sum(tensor.size * len(tensor.gaps) for tensor in problem.tensors)
        slowest = min(problem.link.to_host, problem.link.from_host)
        remade = sum(tensor.recipe.seconds for tensor in problem.tensors if tensor.recipe)
        self.tick = (problem.seconds + remade) / TICKS or 1.0
        self.horizon = math.ceil((problem.seconds + remade + 2 * copied / slowest) / self.tick) + 1
        steps = len(problem.steps)
        self.ended = [0, *(model.new_int_var(0, self.horizon, "") for _ in range(steps))]
        self.begun = [model.new_int_var(0, self.horizon, "") for _ in range(steps)]
        self.gaps = [self._gaps(number) for number in range(len(problem.tensors))]
        for kind in ("fetch", "evict"):
            model.add_no_overlap([getattr(gap, kind)[1] for gaps in self.gaps for gap in gaps])
        for together in decisions(problem):
            for number in together[1:]:
                for one, other in zip(self.gaps[together[0]], self.gaps[number], strict=True):
                    model.add(one.offloads == other.offloads)
                    model.add(one.recomputes == other.recomputes)
        self._recipes()
        self._memory(budget)
        self._times()
        total = model.new_int_var(0, self.horizon, "")
        model.add(total >= self.ended[-1])
        model.add(total >= self._least())
        model.minimize(total)

    def _ticks(self, seconds: float) -> int:
        return math.floor(seconds / self.tick)

    def _gaps(self, number: int) -> list[_Gap]:
        """The variables of a tensor's gaps, and what holds in each of them."""
        tensor = self.problem.tensors[number]
        found: list[_Gap] = []
        for start, end in tensor.gaps:
            found.append(self._gap(tensor.size, tensor.recipe is not None, start, end, [gap.offloads for gap in found]))
        return found

    def _gap(self, size: int, remade: bool, start: int, end: int, before: list[Any]) -> _Gap:
        model, link = self.model, self.problem.link
        inside = end - start - 1
        offloads = model.new_bool_var("")
        recomputes = model.new_bool_var("")
        model.add(offloads + recomputes <= (1 if remade else offloads))
        there = offloads  # whether it has to be copied to the host in this gap
        if before:
            there = model.new_bool_var("")
            model.add(there <= offloads)
            model.add(sum(before) + there >= offloads)
            model.add_bool_and([~gone for gone in before]).only_enforce_if(there)
        leaving = [model.new_bool_var("") for _ in range(inside)]
        coming = [model.new_bool_var("") for _ in range(inside)]
        back = [model.new_bool_var("") for _ in range(inside)]
        for one, other in pairwise(leaving):
            model.add_implication(other, one)
        for one, other in (*pairwise(coming), *pairwise(back)):
            model.add_implication(one, other)
        for place in range(inside):
            model.add(leaving[place] <= there)
            model.add(coming[place] <= offloads)
            model.add(back[place] <= offloads + recomputes)
            model.add(back[place] <= coming[place]).only_enforce_if(offloads)
            # One free step at least between the two copies.
            model.add(leaving[place] + (coming[place + 1] if place + 1 < inside else offloads) <= 1)
        # A tensor that is on the host already is away from the first step on.
        model.add(coming[0] == 0).only_enforce_if(offloads)
        fetch = self._copy(size / link.from_host, offloads)
        evict = self._copy(size / link.to_host, there)
        for place in range(inside):
            time = start + 1 + place
            # The first step of `coming` is the one after the copy's issue; of `back`, the one that waits for it.
            model.add(fetch[0] >= self.ended[time + 1]).only_enforce_if([offloads, ~coming[place]])
            waits = [offloads, back[place]] + ([~back[place - 1]] if place else [])
            model.add(self.begun[time] >= fetch[2]).only_enforce_if(waits)
            gone = [there, ~leaving[place]] + ([leaving[place - 1]] if place else [])
            model.add(self.begun[time] >= evict[2]).only_enforce_if(gone)
        model.add(self.begun[end] >= fetch[2]).only_enforce_if([offloads, ~back[-1]])
        model.add(evict[0] >= self.ended[start + 1]).only_enforce_if(there)
        return _Gap(start, end, offloads, recomputes, leaving, coming, back, there, fetch[:2], evict[:2])

    def _copy(self, seconds: float, present: Any) -> tuple[Any, Any, Any]:
        """(start, interval, end) of a copy."""
        start, length = self.model.new_int_var(0, self.horizon, ""), self._ticks(seconds)
        end = self.model.new_int_var(0, self.horizon, "")
        return start, self.model.new_optional_interval_var(start, length, end, present, ""), end

    def _recipes(self) -> None:
        """What is made again finds what it is made from."""
        for number, tensor in enumerate(self.problem.tensors):
            if tensor.recipe is None:
                continue
            gap = self.gaps[number][0]
            for source in tensor.recipe.inputs:
                for other in self.gaps[source]:
                    for time in range(max(gap.start, other.start) + 1, min(gap.end + 1, other.end)):
                        there = other.back[time - other.start - 1]
                        not_yet = [~gap.recomputes] + ([~gap.back[time - gap.start - 1]] if time < gap.end else [])
                        self.model.add_bool_or([there, ~other.offloads, *not_yet])
                        self.model.add_bool_or([there, ~other.recomputes, *not_yet])

    def _memory(self, budget: int) -> None:
        """No step holds more than the budget."""
        held: list[list[Any]] = [[] for _ in self.problem.steps]
        fixed = [step.other_bytes for step in self.problem.steps]
        for tensor, gaps in zip(self.problem.tensors, self.gaps, strict=True):
            for time in range(tensor.first, tensor.last + 1):
                fixed[time] += tensor.size
            for gap in gaps:
                for place in range(gap.end - gap.start - 1):
                    remade = self.model.new_bool_var("")
                    self.model.add_bool_or([remade, ~gap.recomputes, ~gap.back[place]])
                    present = gap.leaving[place] + gap.coming[place] + remade - gap.offloads - gap.recomputes
                    held[gap.start + 1 + place].append(tensor.size * present)
        for time, terms in enumerate(held):
            self.model.add(sum(terms) + fixed[time] <= budget)

    def _times(self) -> None:
        """Steps follow each other, with what is made again before them."""
        again: list[list[Any]] = [[] for _ in self.problem.steps]
        for tensor, gaps in zip(self.problem.tensors, self.gaps, strict=True):
            if tensor.recipe is None:
                continue
            gap, length = gaps[0], self._ticks(tensor.recipe.seconds)
            before: Any = 0
            for time in range(gap.start + 1, gap.end + 1):
                now = gap.back[time - gap.start - 1] if time < gap.end else 1
                first = self.model.new_bool_var("")
                self.model.add(first >= gap.recomputes + now - before - 1)
                again[time].append(length * first)
                before = now
        for time, step in enumerate(self.problem.steps):
            self.model.add(self.begun[time] >= self.ended[time])
            length = self._ticks(step.seconds)
            self.model.add(self.ended[time + 1] >= self.begun[time] + length + sum(again[time]))

    def _least(self) -> Any:
        """What the program takes if it waits for nothing but the exposed share of its copies."""
        link, terms = self.problem.link, [self._ticks(step.seconds) for step in self.problem.steps]
        for tensor, gaps in zip(self.problem.tensors, self.gaps, strict=True):
            again = tensor.recipe.seconds if tensor.recipe is not None else 0.0
            for gap in gaps:
                terms.append(self._ticks(again) * gap.recomputes)
                terms.append(self._ticks(link.exposed * tensor.size / link.from_host) * gap.offloads)
                terms.append(self._ticks(link.exposed * tensor.size / link.to_host) * gap.there)
        return sum(terms)

    def hint(self, moves: Moves) -> None:
        """Begin with these moves."""
        for gaps, decided in zip(self.gaps, moves, strict=True):
            for gap, move in zip(gaps, decided, strict=True):
                self.model.add_hint(gap.offloads, int(move == "offload"))
                self.model.add_hint(gap.recomputes, int(move == "recompute"))

    def decode(self, solver: Any) -> OffloadPlan:
        """The plan that the variables' values mean."""
        moves: list[tuple[Move, ...]] = []
        remakes: list[Remake] = []
        copies: list[tuple[int, HostCopy]] = []
        for number, gaps in enumerate(self.gaps):
            decided: list[Move] = []
            for place, gap in enumerate(gaps):
                back = gap.end - sum(map(solver.value, gap.back))
                if solver.value(gap.offloads):
                    decided.append("offload")
                    after = gap.end - 1 - sum(map(solver.value, gap.coming))
                    copies.append((solver.value(gap.fetch[0]), HostCopy(number, place, "from host", after, back)))
                    if solver.value(gap.there):
                        before = gap.start + 1 + sum(map(solver.value, gap.leaving))
                        there = HostCopy(number, place, "to host", gap.start, before)
                        copies.append((solver.value(gap.evict[0]), there))
                elif solver.value(gap.recomputes):
                    decided.append("recompute")
                    remakes.append(Remake(number, back))
                else:
                    decided.append("keep")
            moves.append(tuple(decided))
        ordered: list[HostCopy] = []
        latest = {"to host": 0, "from host": 0}
        for _, copy in sorted(copies, key=lambda pair: pair[0]):
            latest[copy.direction] = after = max(latest[copy.direction], copy.after)
            ordered.append(HostCopy(copy.tensor, copy.gap, copy.direction, after, copy.before))
        ordered.sort(key=lambda copy: copy.after)
        remakes.sort(key=lambda remake: (remake.before, remake.tensor))
        return OffloadPlan(self.problem.fingerprint, tuple(moves), tuple(ordered), tuple(remakes))
