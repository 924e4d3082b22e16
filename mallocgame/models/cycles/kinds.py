"""Instructions that are alike, e.g. of identical layers: what one compile shows of one of them holds for all."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from mallocgame.problem.schema import Problem

AGREEMENT = 1e-3
"""Cycles for one mask that differ by more than this share show that two instructions are not alike."""


def look(problem: Problem, time: int) -> Hashable:
    """All that the problem says of an instruction: opcode, costs, and shape of its operands and outputs."""
    tensors, instruction = problem.tensors, problem.instructions[time]
    reads = tuple(
        (tensors[tensor].uses[use].operands, tensors[tensor].uses[use].accessed_bytes, tensors[tensor].size)
        for tensor, use in problem.uses_at[time]
    )
    writes = tuple(
        (tensors[tensor].index, tensors[tensor].defined_bytes, tensors[tensor].size)
        for tensor in problem.definitions_at[time]
    )
    return instruction.opcode, instruction.compute_seconds, instruction.total_bytes, reads, writes


def alike(times: Sequence[int], observed: Sequence[Mapping[int, float]]) -> list[list[int]]:
    """Split times of one look into kinds that no observation contradicts.

    Args:
        times: that look the same.
        observed: for each time of the problem, cycles by mask.

    Returns:
        Kinds, each a list of times in order; a time joins the first kind that agrees with it on every mask they share,
        and that shares one if any does.
    """
    kinds: list[tuple[list[int], dict[int, float]]] = []
    for time in times:
        known = observed[time]
        fitting = [kind for kind in kinds if _agree(known, kind[1])]
        sharing = [kind for kind in fitting if known.keys() & kind[1].keys()]
        if fitting:
            members, masks = (sharing or fitting)[0]
        else:
            members, masks = [], {}
            kinds.append((members, masks))
        members.append(time)
        for mask, cycles in known.items():
            masks.setdefault(mask, cycles)
    return [members for members, _ in kinds]


def _agree(one: Mapping[int, float], other: Mapping[int, float]) -> bool:
    shared = one.keys() & other.keys()
    return all(abs(one[mask] - other[mask]) <= AGREEMENT * max(one[mask], other[mask]) for mask in shared)
