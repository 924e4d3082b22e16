"""From a compiled module to the offload problem: which of its values could be on the host between their uses.

Steps are the entry computation's instructions, joined where no chosen tensor is made or used; what an instruction calls
counts in its time. Tensors are the largest values of their own buffer; all others count as each step's other bytes.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise

from mallocgame.offload.problem import OffloadProblem, Step, Tensor, check_problem
from mallocgame.problem.chips import Link
from mallocgame.problem.costs.elapsed import m_elapsed
from mallocgame.problem.schema import Problem, Target
from mallocgame.problem.schema import Tensor as Value
from mallocgame.system.errors import BadInputError

MOST_TENSORS = 40
"""Tensors of a problem; more make the search slow and free little more."""

KERNEL_SECONDS = 2e-6
"""The least time of an instruction on a GPU: about what a launch takes."""


def gpu_target(link: Link) -> Target:
    """A GPU as the target of `mallocgame.problem.build.build_problem`: one memory, with the link's rates."""
    return Target(
        name=link.name,
        fast_space=1,
        fast_bytes=0,
        alignment=256,
        hbm_bandwidth=link.bandwidth,
        fast_read_bandwidth=link.bandwidth,
        fast_write_bandwidth=link.bandwidth,
        min_seconds=KERNEL_SECONDS,
        hbm_bytes=link.device_bytes,
    )


def module_problem(problem: Problem, link: Link) -> OffloadProblem:
    """The offload problem of a scheduled module.

    Raises:
        BadInputError: no value of the entry computation is away from its next use long enough.
    """
    entry = next(number for number, computation in enumerate(problem.computations) if computation.caller is None)
    times = [time for time, instruction in enumerate(problem.instructions) if instruction.computation == entry]
    place = {time: number for number, time in enumerate(times)}
    chosen = _chosen(problem, place)
    if not chosen:
        raise BadInputError(f"{problem.module}: no value waits for its next use long enough to leave the device")
    accesses = {place[time] for tensor in chosen for time in _accesses(tensor, place)}
    step_of, step = [], 0
    for number in range(len(times)):
        step += number > 0 and (number in accesses or number - 1 in accesses)
        step_of.append(step)
    seconds = [0.0] * (step + 1)
    for number, took in enumerate(_seconds(problem, times, place)):
        seconds[step_of[number]] += took
    others = _other_bytes(problem, times, step_of, chosen)
    steps = tuple(Step(f"step {number}", seconds[number], others[number]) for number in range(step + 1))
    tensors = []
    for tensor in chosen:
        at = sorted({step_of[place[time]] for time in _accesses(tensor, place)})
        ends = next((number for time, number in place.items() if time >= tensor.live[1]), len(times) - 1)
        gaps = tuple((one, other) for one, other in pairwise(at) if other >= one + 2)
        if gaps:
            tensors.append(Tensor(tensor.name, tensor.size, at[0], max(at[-1], step_of[ends]), gaps))
    digest = hashlib.sha256(repr((problem.fingerprint, link, steps, tensors)).encode()).hexdigest()[:16]
    found = OffloadProblem(digest, problem.module, link, steps, tuple(tensors))
    check_problem(found)
    return found


def _accesses(tensor: Value, place: dict[int, int]) -> list[int]:
    """Times in the entry computation at which a value is made or read."""
    return [time for time in (tensor.time, *(use.time for use in tensor.uses)) if time in place]


def _chosen(problem: Problem, place: dict[int, int]) -> list[Value]:
    """The values that free most for longest, in order of their definition."""
    worth = []
    for tensor in problem.tensors:
        if tensor.time not in place or len(problem.groups[tensor.group].tensors) > 1 or tensor.size <= 0:
            continue
        if any(use.time not in place for use in tensor.uses):
            continue
        at = sorted({place[time] for time in _accesses(tensor, place)})
        longest = max((other - one for one, other in pairwise(at)), default=0)
        if longest >= 3:
            worth.append((tensor.size * longest, tensor))
    worth.sort(key=lambda pair: (-pair[0], pair[1].id))
    return sorted((tensor for _, tensor in worth[:MOST_TENSORS]), key=lambda tensor: tensor.time)


def _seconds(problem: Problem, times: list[int], place: dict[int, int]) -> list[float]:
    """What each instruction of the entry takes with everything in device memory, callees included."""
    found = [0.0] * len(times)
    for at, instruction in enumerate(problem.instructions):
        if instruction.free:
            continue
        time, runs = at, 1
        while time not in place:
            computation = problem.computations[problem.instructions[time].computation]
            assert computation.caller is not None, "only the entry has no caller"
            time, runs = computation.caller, runs * computation.trips
        found[place[time]] += runs * m_elapsed(problem.target, instruction.least_seconds, instruction.total_bytes)
    return found


def _other_bytes(problem: Problem, times: list[int], step_of: list[int], chosen: list[Value]) -> list[int]:
    """The most that is live in each step of what is not chosen; values of one buffer count once."""
    gone = {tensor.group for tensor in chosen}
    changes = [0] * (len(problem.instructions) + 1)
    for number, group in enumerate(problem.groups):
        if number not in gone:
            changes[min(problem.tensors[each].live[0] for each in group.tensors)] += group.size
            changes[max(problem.tensors[each].live[1] for each in group.tensors) + 1] -= group.size
    found = [0] * (step_of[-1] + 1)
    held, number = 0, 0
    for time in range(len(problem.instructions)):
        held += changes[time]
        while number < len(times) - 1 and times[number] < time:
            number += 1
        found[step_of[number]] = max(found[step_of[number]], held)
    return found
