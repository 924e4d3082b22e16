"""A named plan as ``xla_tpu_msa_tensor_overrides`` and ``xla_tpu_msa_sort_order_overrides``.

What can be expressed, and why exactly these overrides do it, is told in docs/expressibility.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mallocgame.errors import BadInputError
from mallocgame.export import text
from mallocgame.named_plan import NamedPlan, NamedTensor, NamedUse
from mallocgame.problem.schema import ShapeIndex

KEEP = "keep_in_default_memory{}"
PIN = "pin_in_alternate_memory{}"


@dataclass(frozen=True, slots=True)
class Groups:
    """The alias groups of a plan by what happens to them; each group is a tuple of its tensors.

    Attributes:
        pinned: all definitions and uses in fast memory.
        copied: defined in HBM, some uses served by prefetches.
        in_hbm: no definition or use in fast memory.
    """

    pinned: tuple[tuple[NamedTensor, ...], ...]
    copied: tuple[tuple[NamedTensor, ...], ...]
    in_hbm: tuple[tuple[NamedTensor, ...], ...]


def classify(named: NamedPlan) -> Groups:
    """Sort the groups of a plan.

    Raises:
        BadInputError: the plan asks for something that no override can express (an eviction, a group that is only
            partly in fast memory, a fast use that nothing serves, two prefetches without an HBM use between them).
    """
    for copy in named.plan.copies:
        if copy.kind != "prefetch":
            evicted = _name(named.tensors[copy.tensor])
            raise BadInputError(f"this plan cannot be exported: it evicts {evicted}, and no override can say so")
    members: dict[int, list[NamedTensor]] = {}
    for tensor in named.tensors:
        members.setdefault(tensor.group, []).append(tensor)
    pinned, copied, in_hbm = [], [], []
    for tensors in map(tuple, members.values()):
        if any(tensor.fast_definition for tensor in tensors):
            _check_pinned(tensors)
            pinned.append(tensors)
        elif any(use.fast or use.copy_after is not None for tensor in tensors for use in tensor.uses):
            for tensor in tensors:
                _check_copied(tensor)
            copied.append(tensors)
        else:
            in_hbm.append(tensors)
    return Groups(tuple(pinned), tuple(copied), tuple(in_hbm))


def tensor_overrides(groups: Groups) -> str:
    """The text of ``xla_tpu_msa_tensor_overrides``.

    Raises:
        BadInputError: an output that the plan wants in fast memory would be kept in HBM together with a use.
    """
    parts = _by_position([tensor for tensors in groups.in_hbm for tensor in tensors], KEEP)
    parts += _by_position([tensor for tensors in groups.pinned for tensor in tensors], PIN)
    pinned = {(t.instruction, t.index, t.size): t for tensors in groups.pinned for t in tensors}
    for tensors in groups.copied:
        for tensor in tensors:
            parts += _copied(tensor, pinned)
    return text.join(parts)


def sort_order_overrides(order: Sequence[Sequence[NamedTensor]]) -> str:
    """The text of ``xla_tpu_msa_sort_order_overrides`` that has these groups allocated first and in this order."""
    return text.join(
        [
            text.override(
                text.position(text.name_regex(tensor.instruction), tensor.index),
                "override_options{assign_first:true}",
            )
            for tensors in order
            for tensor in tensors
        ]
    )


def kept_uses(tensor: NamedTensor) -> list[NamedUse]:
    """The HBM uses of a copied tensor that need an override: its first use, and the first after each fast one.

    The others are in HBM because the compiler, left to itself under the exported options, copies nothing.
    """
    uses = tensor.uses
    return [use for number, use in enumerate(uses) if not use.fast and (number == 0 or uses[number - 1].fast)]


def _copied(tensor: NamedTensor, pinned: dict[tuple[str, ShapeIndex, int], NamedTensor]) -> list[str]:
    parts = []
    for use in kept_uses(tensor):
        for operand, index in use.operands:
            if (use.instruction, index, tensor.size) in pinned:
                output = pinned[use.instruction, index, tensor.size]
                raise BadInputError(
                    f"this plan cannot be exported: keeping {_name(tensor)} in HBM for {use.instruction} also keeps "
                    f"{_name(output)} there"
                )
            parts.append(text.override(text.use(use.instruction, operand, index, tensor.size), KEEP))
    for use in tensor.uses:
        if use.copy_after is not None:
            operand, index = use.operands[0]
            action = f"prefetch{{logical_time:{use.copy_after},strict_timing:true}}"
            parts.append(text.override(text.use(use.instruction, operand, index, tensor.size), action))
    return parts


def _by_position(tensors: Sequence[NamedTensor], action: str) -> list[str]:
    names: dict[ShapeIndex, list[str]] = {}
    for tensor in tensors:
        names.setdefault(tensor.index, []).append(tensor.instruction)
    return [
        text.override(text.position(regex, index), action)
        for index in sorted(names)
        for regex in text.alternations(names[index])
    ]


def _check_pinned(tensors: Sequence[NamedTensor]) -> None:
    for tensor in tensors:
        in_hbm = not tensor.fast_definition or any(not use.fast for use in tensor.uses)
        if in_hbm or any(use.copy_after is not None for use in tensor.uses):
            raise BadInputError(
                f"this plan cannot be exported: {_name(tensor)} and what it shares a buffer with are partly in HBM and "
                "partly written to fast memory"
            )


def _check_copied(tensor: NamedTensor) -> None:
    held = False
    for use in tensor.uses:
        if use.copy_after is not None and not use.fast:
            raise _inexpressible(f"{use.instruction} has a prefetch of {_name(tensor)} but reads HBM")
        if use.copy_after is not None and held:
            raise _inexpressible(f"the prefetch of {_name(tensor)} for {use.instruction} follows a fast use")
        if use.fast and not held and use.copy_after is None:
            raise _inexpressible(f"nothing brings {_name(tensor)} to fast memory for {use.instruction}")
        held = use.fast


def _inexpressible(reason: str) -> BadInputError:
    return BadInputError(f"this plan cannot be exported: {reason}")


def _name(tensor: NamedTensor) -> str:
    return tensor.instruction + ("{" + ",".join(map(str, tensor.index)) + "}" if tensor.index else "")
