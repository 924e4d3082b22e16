"""Compares a plan with what the compiler made of it, site by site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mallocgame.compiler.verification import Miss, Relaxed
from mallocgame.plan.plan import Plan
from mallocgame.problem.placement import HINTED
from mallocgame.problem.schema import Problem

if TYPE_CHECKING:
    from mallocgame.models.replay.read_back import FoundCopy, ReadBack


def compare(
    problem: Problem, plan: Plan, found: ReadBack, starts: Mapping[str, int], relaxed: Sequence[Relaxed]
) -> tuple[int, int, tuple[Miss, ...]]:
    """Count every definition and use by its memory space and every planned copy by its start.

    What the compiler's own hints place is left out: no plan can say anything of it.

    Args:
        problem: of the plan.
        plan: as it was before anything was relaxed.
        found: what the final text says.
        starts: for the starting instruction of each copy in the final text, the time of the last instruction of the
            problem before it that takes time; see ``last_timed``.
        relaxed: groups that were left in HBM.

    Returns:
        (honoured, all, misses). A copy that nobody planned shows as a fast use, so it is a miss there.
    """
    causes = {entry.group: f"relaxed: the compiler refused {entry.tensor}: {entry.reason}" for entry in relaxed}
    misses: list[Miss] = []
    sites = 0
    for tensor in problem.tensors:
        if tensor.fixed == HINTED:
            continue
        cause = causes.get(tensor.group)
        sites += 1 + len(tensor.uses)
        planned, is_so = tensor.id in plan.fast_definitions, tensor.id in found.fast_definitions
        if planned != is_so:
            misses.append(_space("definition", tensor.name, tensor.instruction, planned, is_so, cause, found))
        for number, use in enumerate(tensor.uses):
            planned, is_so = (tensor.id, number) in plan.fast_uses, (tensor.id, number) in found.fast_uses
            if planned != is_so:
                reader = problem.instructions[use.time].name
                misses.append(_space("use", tensor.name, reader, planned, is_so, cause, found))
    copies = {(copy.tensor, copy.kind, copy.before): copy for copy in found.copies}
    for copy in plan.copies:
        sites += 1
        tensor = problem.tensors[copy.tensor]
        waits = first_timed(problem, copy.before) if copy.kind == "eviction" else copy.before
        reader = problem.instructions[waits].name
        real = copies.get((copy.tensor, copy.kind, waits))
        planned_start = last_timed(problem, copy.after)
        start = None if real is None else starts.get(real.starts[0])
        if start is None or start != planned_start:
            text = f"after {problem.instructions[copy.after].name}"
            cause = causes.get(tensor.group, _MOVED)
            misses.append(Miss("copy", tensor.name, reader, text, _start_text(problem, real), cause))
    return sites - len(misses), sites, tuple(misses)


_MOVED = "the compiler placed it otherwise"


def last_timed(problem: Problem, time: int) -> int:
    """The last instruction up to ``time`` in its own computation that takes time; before all of them, -1 - computation.

    Instructions that take none (parameters, tuples, bitcasts) are moved about freely by the compiler, so the start of a
    copy is told by this.
    """
    computation = problem.instructions[time].computation
    first = problem.computations[computation].start
    for earlier in range(time, first - 1, -1):
        instruction = problem.instructions[earlier]
        if instruction.computation == computation and takes_time(problem, earlier):
            return earlier
    return -1 - computation


def first_timed(problem: Problem, time: int) -> int:
    """The first instruction from ``time`` on, in its own computation, that takes time; where there is none, its last.

    The wait for an eviction is told by this, as the start of a copy by ``last_timed``.
    """
    computation = problem.instructions[time].computation
    last = problem.computations[computation].end
    times = (later for later in range(time, last) if problem.instructions[later].computation == computation)
    return next((later for later in times if takes_time(problem, later)), last)


def takes_time(problem: Problem, time: int) -> bool:
    """Whether an instruction holds its place in the schedule: it computes, or runs computations."""
    return not problem.instructions[time].free or time in problem.children


def _space(kind: str, tensor: str, where: str, planned: bool, is_so: bool, cause: str | None, found: ReadBack) -> Miss:
    if cause is None:
        cause = f"{where} is not in the final text" if where in found.gone else _MOVED
    words = ("HBM", "fast")
    return Miss(kind, tensor, where, words[planned], words[is_so], cause)


def _start_text(problem: Problem, real: FoundCopy | None) -> str:
    return "no such copy" if real is None else f"after {problem.instructions[real.after].name}"
