"""The part of a plan that keeps most of its gain within so many bytes of flags."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import NamedTuple

from mallocgame.compiler.export.formats import environment_bytes
from mallocgame.compiler.export.options import compiler_options
from mallocgame.plan.named_plan import NamedPlan, NamedTensor, in_hbm
from mallocgame.system.errors import BadInputError

_OVERRIDE_BYTES = 110
"""About as long is the override of one prefetch."""


class Within(NamedTuple):
    """A plan that was cut down.

    Attributes:
        named: what is left of it.
        options: its compiler options.
        left_out: how many alias groups it had in fast memory, and has in HBM.
    """

    named: NamedPlan
    options: Mapping[str, str]
    left_out: int


def within(named: NamedPlan, max_bytes: int) -> Within:
    """The part of a plan whose flags have at most so many bytes, as one string of the environment.

    The groups that stay are those that save the most HBM traffic for the bytes of their overrides: each definition and
    use in fast memory saves the tensor's bytes once, each copy costs them once. A plan file has no other figures; what
    is left has not been compiled, so it has to be verified like any other plan.

    Raises:
        BadInputError: not even the flags that keep everything in HBM are that short, or the plan cannot be expressed.
    """
    members: dict[int, list[NamedTensor]] = {}
    for tensor in named.tensors:
        members.setdefault(tensor.group, []).append(tensor)
    fast = {group: tensors for group, tensors in members.items() if any(tensor.is_fast for tensor in tensors)}
    least_first = sorted(fast, key=lambda group: (_saved(fast[group]) / _length(fast[group]), -group))

    def without(count: int) -> Within:
        plan = in_hbm(named, least_first[:count])
        return Within(plan, compiler_options(plan), count)

    def is_short(count: int) -> bool:
        return environment_bytes(without(count).options) <= max_bytes

    if is_short(0):
        return without(0)
    count = bisect_left(range(len(least_first) + 1), True, key=is_short)
    if count > len(least_first):
        raise BadInputError(
            f"not even everything in HBM can be told in {max_bytes} bytes: "
            f"that takes {environment_bytes(without(len(least_first)).options)}"
        )
    return without(count)


def _saved(tensors: list[NamedTensor]) -> int:
    """Bytes that need not cross between HBM and the core."""
    sites = sum(tensor.size * (tensor.fast_definition + sum(use.fast for use in tensor.uses)) for tensor in tensors)
    return sites - sum(tensor.size for tensor in tensors for use in tensor.uses if use.copy_after is not None)


def _length(tensors: list[NamedTensor]) -> int:
    """Of the overrides of a group, about."""
    copies = sum(use.copy_after is not None for tensor in tensors for use in tensor.uses)
    return copies * _OVERRIDE_BYTES + sum(len(tensor.instruction) for tensor in tensors)
