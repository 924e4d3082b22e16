"""Evictions: one copy, whose time is the compiler's rule, brings to HBM what was made in fast memory.

Of entry results, as the game has them, and of *products*: what an instruction of the entry makes, alone in its group,
whose first uses are in fast memory and whose next one is kept in HBM. Later uses may be prefetched.

Measured with libtpu 0.0.52, docs/expressibility.md, section "Evictions".
"""

from __future__ import annotations

from typing import NamedTuple

from mallocgame.problem.costs.elapsed import m_elapsed
from mallocgame.problem.placement import CORES_APART, starts_in_hbm
from mallocgame.problem.schema import Group, Problem, Tensor

PICKER_BYTES = 4096
"""The one size that export has MSA take all tensors for when it looks for an end of their evictions. Of a size above
all of a program's tensors MSA takes another one."""

OVERLAP_RATIO = 4095
"""MSA waits for an eviction when the instructions since its start, with everything in HBM, would take this many times
as long as the copying of ``PICKER_BYTES``. One less than a power of two: instructions that together read as much as
16 MiB are surely enough, however MSA rounds."""

OVERLAP_BYTES = OVERLAP_RATIO * PICKER_BYTES
"""Likewise as long as the copying of this many bytes."""

WHILE_EXECUTIONS = 5
"""How often MSA takes a while loop to run."""


class Eviction(NamedTuple):
    """The one copy of an entry result, or of a product, from fast memory to HBM.

    Attributes:
        tensor: its id.
        after: the copy starts after the instruction at this time, the tensor's definition.
        before: it is waited for before the instruction at this time; the bytes are taken up to and with this time.
    """

    tensor: int
    after: int
    before: int


def product_wait(problem: Problem, tensor: Tensor) -> int | None:
    """Time before which MSA waits for the eviction of a product if no use is in the way; None if it cannot be evicted.

    It can where nothing but the entry's own instructions reads it, none of them a bitcast or the root, and at least
    twice.
    """
    root = len(problem.instructions) - 1
    entry = problem.instructions[root].computation
    alone = len(problem.groups[tensor.group].tensors) == 1 and tensor.fixed is None and tensor.hbm_definition is None
    if not alone or starts_in_hbm(problem, tensor) or tensor.size > problem.target.fast_bytes or len(tensor.uses) < 2:
        return None
    for time in (tensor.time, *(use.time for use in tensor.uses)):
        instruction = problem.instructions[time]
        if instruction.computation != entry or time in problem.children or instruction.opcode == "bitcast":
            return None
        if time == root:
            return None
    return _waited_for(problem, tensor, tensor.time)


def product_eviction(tensor: Tensor, last: int, wait: int) -> Eviction:
    """The eviction of a product whose uses up to number ``last`` are fast; the next one is in HBM.

    Args:
        tensor: the product.
        last: number of a use that is not the last one.
        wait: see `product_wait`.
    """
    before = max(tensor.uses[last].time, min(wait, tensor.uses[last + 1].time))
    return Eviction(tensor.id, tensor.time, before)


def eviction_of(problem: Problem, group: Group) -> Eviction | None:
    """How the group's entry result is evicted if the group is in fast memory; None where it cannot be, or has none.

    All of the group but an entry parameter, which has to be its first tensor, is in fast memory then, with all uses
    but that by the entry's root. The result gets no override, so it has to be the compiler's own choice: the rest of
    its group is in fast memory, or, where it is alone, other uses are before the root's. Results of conditionals in
    conditionals are refused ("FailConflictingPreferredOffsets").
    """
    members = [problem.tensors[id] for id in group.tensors]
    rest = members[1:] if members[0].hbm_definition == "entry parameter" else members
    reasons = {tensor.id: tensor.hbm_definition for tensor in rest if tensor.hbm_definition is not None}
    if [*reasons.values()] != ["entry result"] or any(tensor.fixed is not None for tensor in members):
        return None
    result = problem.tensors[next(iter(reasons))]
    fast = _fast_uses(problem, result)
    if fast is None or (len(members) == 1 and not fast):
        return None
    opcodes = [problem.instructions[member.time].opcode for member in rest]
    if opcodes.count("conditional") > 1:
        return None
    if problem.target.name in CORES_APART and problem.instructions[result.time].opcode not in ("while", "conditional"):
        return None
    before = _waited_for(problem, result, max([result.time, *fast]))
    return Eviction(result.id, result.time, before) if before > result.time else None


def _fast_uses(problem: Problem, result: Tensor) -> list[int] | None:
    """Times of the uses of an entry result but the root's; None where it cannot be evicted."""
    instructions = problem.instructions
    end = len(instructions) - 1
    entry = instructions[end].computation
    if instructions[end].opcode not in ("tuple", "get-tuple-element") or result.time == end:
        return None
    if instructions[result.time].opcode in ("parameter", "constant", "bitcast"):
        return None
    times = [use.time for use in result.uses]
    if end not in times:
        return None
    times.remove(end)
    if any(instructions[time].computation != entry or time in problem.children for time in times):
        return None
    return [time for time in times if instructions[time].opcode != "bitcast"]


def _waited_for(problem: Problem, tensor: Tensor, last_fast: int) -> int:
    """MSA's end of the eviction: late enough to copy ``OVERLAP_BYTES`` by its estimate, which has everything in HBM;
    not before the last use."""
    needed = OVERLAP_BYTES / problem.target.hbm_bandwidth
    end, seconds = tensor.time + 1, 0.0
    while end < len(problem.instructions) - 1 and seconds < needed:
        instruction = problem.instructions[end]
        if end not in problem.children:
            elapsed = m_elapsed(problem.target, instruction.compute_seconds, instruction.total_bytes)
            seconds += elapsed * WHILE_EXECUTIONS ** loops(problem, instruction.computation)
        end += 1
    return max(_in_entry(problem, end), last_fast)


def _in_entry(problem: Problem, time: int) -> int:
    """The time, or that of the entry's instruction during which it is."""
    caller = problem.computations[problem.instructions[time].computation].caller
    return time if caller is None else _in_entry(problem, caller)


def loops(problem: Problem, computation: int) -> int:
    """How many while loops a computation is in."""
    loops = 0
    caller = problem.computations[computation].caller
    while caller is not None:
        loops += problem.instructions[caller].opcode == "while"
        computation = problem.instructions[caller].computation
        caller = problem.computations[computation].caller
    return loops
