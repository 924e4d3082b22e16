"""The rules of the offload game: the player decides moves, the environment decides when copies start.

The player answers each gap with a move. The environment then makes it a plan: what is recomputed is made again as late
as somebody needs it; a copy from the host starts as late as the link allows without a stall, or later where memory is
short; a copy to the host starts at once, and is waited for when it will have finished, or sooner where memory is short.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from mallocgame.offload.plan import HostCopy, OffloadPlan, Remake
from mallocgame.offload.problem import Move, OffloadProblem, decisions, moves_of

Moves = tuple[tuple[Move, ...], ...]


@dataclass(frozen=True, slots=True)
class Played:
    """What moves come to.

    Attributes:
        plan: with the environment's copies.
        seconds: of the program under the plan.
        excess: bytes above the budget at the worst step; 0 where the plan fits.
    """

    plan: OffloadPlan
    seconds: float
    excess: int


def keep_all(problem: OffloadProblem) -> Moves:
    """Everything stays in device memory."""
    return everywhere(problem, "keep", "keep")


def everywhere(problem: OffloadProblem, move: Move, otherwise: Move) -> Moves:
    """One move in every gap; ``otherwise`` where it is not legal."""
    found: dict[int, Move] = {}
    for together in decisions(problem):
        found |= dict.fromkeys(together, move if move in moves_of(problem, together) else otherwise)
    return tuple((found[number],) * len(tensor.gaps) for number, tensor in enumerate(problem.tensors))


def back_at(problem: OffloadProblem, moves: Moves) -> list[list[int]]:
    """For each tensor and gap, the step before which the tensor has to be back: the gap's end, or sooner where
    something that is recomputed reads it."""
    back = [[end for _, end in tensor.gaps] for tensor in problem.tensors]
    for number in range(len(problem.tensors) - 1, -1, -1):
        recipe = problem.tensors[number].recipe
        if recipe is None or moves[number][0] != "recompute":
            continue
        for source in recipe.inputs:
            gaps = problem.tensors[source].gaps
            if gaps and moves[source][0] != "keep" and gaps[0][0] < back[number][0] < back[source][0]:
                back[source][0] = back[number][0]
    return back


def play(problem: OffloadProblem, moves: Moves, budget: int) -> Played | None:
    """The environment's plan for these moves; None where there is no time for a copy there and back."""
    back = back_at(problem, moves)
    held = [step.other_bytes for step in problem.steps]
    seconds = [step.seconds for step in problem.steps]
    remakes: list[Remake] = []
    fetched: list[tuple[int, int, int]] = []
    evicted: list[tuple[int, int, int]] = []
    for number, tensor in enumerate(problem.tensors):
        for step in range(tensor.first, tensor.last + 1):
            held[step] += tensor.size
        on_host = False
        for gap, (start, _) in enumerate(tensor.gaps):
            end = back[number][gap]
            if moves[number][gap] == "keep":
                continue
            if moves[number][gap] == "recompute":
                assert tensor.recipe is not None, "only what has a recipe is recomputed"
                seconds[end] += tensor.recipe.seconds
                remakes.append(Remake(number, end))
            elif end < start + 2:
                return None
            else:
                fetched.append((end, number, gap))
                if not on_host:
                    evicted.append((start, number, gap))
                on_host = True
            for step in range(start + 1, end):
                held[step] -= tensor.size
    begins = [0.0, *accumulate(seconds)]
    from_host = _fetches(problem, budget, begins, held, fetched)
    latest = {(copy.tensor, copy.gap): copy.after for copy in from_host}
    to_host = _evictions(problem, budget, begins, held, evicted, latest)
    copies = sorted([*to_host, *from_host], key=lambda copy: copy.after)
    remakes.sort(key=lambda remake: (remake.before, remake.tensor))
    plan = OffloadPlan(problem.fingerprint, moves, tuple(copies), tuple(remakes))
    return Played(plan, run_time(problem, plan), max(0, max(held) - budget))


def _fetches(
    problem: OffloadProblem, budget: int, begins: Sequence[float], held: list[int], wanted: list[tuple[int, int, int]]
) -> list[HostCopy]:
    """Copies from the host, wanted as (end, tensor, gap), in order of their ends; what they hold is added to held."""
    found: list[HostCopy] = []
    next_start = float("inf")
    for end, number, gap in sorted(wanted, reverse=True):
        tensor = problem.tensors[number]
        next_start = min(begins[end], next_start) - tensor.size / problem.link.from_host
        first = tensor.gaps[gap][0] + 1
        after = end - 1
        while after > first and begins[after + 1] > next_start and held[after] + tensor.size <= budget:
            held[after] += tensor.size
            after -= 1
        found.append(HostCopy(number, gap, "from host", after, end))
    found.reverse()
    return _in_order(problem, found, held)


def _in_order(problem: OffloadProblem, copies: list[HostCopy], held: list[int]) -> list[HostCopy]:
    """The same copies, none issued before one that is needed sooner; what they hold no longer is taken from held."""
    ordered: list[HostCopy] = []
    latest = 0
    for copy in copies:
        after = min(max(copy.after, latest), copy.before - 1)
        for step in range(copy.after + 1, after + 1):
            held[step] -= problem.tensors[copy.tensor].size
        ordered.append(HostCopy(copy.tensor, copy.gap, copy.direction, after, copy.before))
        latest = after
    return ordered


def _evictions(
    problem: OffloadProblem,
    budget: int,
    begins: Sequence[float],
    held: list[int],
    wanted: list[tuple[int, int, int]],
    latest: dict[tuple[int, int], int],
) -> list[HostCopy]:
    """Copies to the host, wanted as (start, tensor, gap), each waited for at ``latest`` or sooner."""
    found: list[HostCopy] = []
    free = 0.0
    for start, number, gap in sorted(wanted):
        size = problem.tensors[number].size
        free = max(free, begins[start + 1]) + size / problem.link.to_host
        before = start + 1
        while before < latest[number, gap] and begins[before] < free and held[before] + size <= budget:
            held[before] += size
            before += 1
        found.append(HostCopy(number, gap, "to host", start, before))
    return found


def run_time(problem: OffloadProblem, plan: OffloadPlan) -> float:
    """Seconds of the program under a plan, copies' waits included."""
    link, tensors = problem.link, problem.tensors
    share = min(1.0, link.both / (link.to_host + link.from_host))
    rates = {"to host": link.to_host, "from host": link.from_host}
    queues: dict[str, deque[list[float]]] = {"to host": deque(), "from host": deque()}
    issued: dict[int, list[int]] = {}
    waited: dict[int, list[int]] = {}
    for number, copy in enumerate(plan.copies):
        issued.setdefault(copy.after, []).append(number)
        waited.setdefault(copy.before, []).append(number)
    extra = [0.0] * len(problem.steps)
    for remake in plan.remakes:
        recipe = tensors[remake.tensor].recipe
        assert recipe is not None, "only what has a recipe is recomputed"
        extra[remake.before] += recipe.seconds
    left: dict[int, list[float]] = {}
    now = 0.0

    def advance(limit: float, until: int | None) -> float:
        """Copy for ``limit`` seconds, or until a copy has arrived; returns the seconds that took."""
        spent = 0.0
        while spent < limit and (until is None or left[until][0] > 0.0):
            busy = [(queue, name) for name, queue in queues.items() if queue]
            if not busy:
                return limit if until is None else spent
            factor = share if len(busy) == 2 else 1.0
            round_ = min(limit - spent, *(queue[0][0] / (rates[name] * factor) for queue, name in busy))
            for queue, name in busy:
                done = rates[name] * factor * round_
                if queue[0][0] - done <= 1e-9 * queue[0][1]:
                    queue.popleft()[0] = 0.0
                else:
                    queue[0][0] -= done
            spent += round_
        return spent

    for time, step in enumerate(problem.steps):
        for number in waited.get(time, ()):
            now += advance(float("inf"), number)
        busy_for = step.seconds + extra[time]
        advance(busy_for, None)
        now += busy_for
        for number in issued.get(time, ()):
            copy = plan.copies[number]
            left[number] = [float(tensors[copy.tensor].size)] * 2
            queues[copy.direction].append(left[number])
    copied = sum(tensors[copy.tensor].size / rates[copy.direction] for copy in plan.copies)
    return max(now, problem.seconds + sum(extra) + link.exposed * copied)
