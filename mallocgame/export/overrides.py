"""A named plan as ``xla_tpu_msa_tensor_overrides`` and ``xla_tpu_msa_sort_order_overrides``.

What can be expressed, and why exactly these overrides do it, is told in docs/expressibility.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from mallocgame.errors import BadInputError
from mallocgame.export import text
from mallocgame.named_plan import NamedPlan, NamedTensor
from mallocgame.problem.schema import ShapeIndex


class InexpressibleError(BadInputError):
    """No override can say this.

    Attributes:
        tensor: what it is about.
    """

    def __init__(self, tensor: NamedTensor, reason: str) -> None:
        super().__init__(f"this plan cannot be exported: {reason}")
        self.tensor = tensor


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
        InexpressibleError: the plan asks for something that no override can express (an eviction, a group that is only
            partly in fast memory, a fast use that nothing serves).
    """
    for copy in named.plan.copies:
        if copy.kind != "prefetch":
            evicted = named.tensors[copy.tensor]
            raise InexpressibleError(evicted, f"it evicts {_name(evicted)}, and no override can say so")
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
        InexpressibleError: an output that the plan wants in fast memory would be kept in HBM together with a use.
    """
    parts = _by_position([tensor for tensors in groups.in_hbm for tensor in tensors], KEEP)
    parts += _by_position([tensor for tensors in groups.pinned for tensor in tensors], PIN)
    moved = [tensor for tensors in (*groups.pinned, *groups.copied) for tensor in tensors]
    outputs = {(tensor.instruction, tensor.index, tensor.size): tensor for tensor in moved}
    for tensors in groups.copied:
        for tensor in tensors:
            parts += _copied(tensor, outputs)
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


def _copied(tensor: NamedTensor, outputs: Mapping[tuple[str, ShapeIndex, int], NamedTensor]) -> list[str]:
    """Keeps for the uses in HBM, and prefetches.

    A keep also keeps outputs of that instruction that look like the operand, with all of their uses. Where the plan has
    something of them in fast memory, the keep is left out unless a fast use precedes: the compiler copies nothing by
    itself, but it would hold on to a copy.
    """
    parts = []
    previous = None
    for use in tensor.uses:
        for operand, index in use.operands if not use.fast else ():
            output = outputs.get((use.instruction, index, tensor.size))
            if output is None:
                parts.append(text.override(text.use(use.instruction, operand, index, tensor.size), KEEP))
            elif previous is not None and previous.fast:
                raise InexpressibleError(
                    tensor, f"keeping {_name(tensor)} in HBM for {use.instruction} also keeps {_name(output)} there"
                )
        previous = use
    for use in tensor.uses:
        if use.copy_after is not None:
            operand, index = use.operands[0]
            action = f"prefetch{{logical_time:{use.copy_after},strict_timing:true}}"
            parts.append(text.override(text.use(use.instruction, operand, index), action))
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
            raise InexpressibleError(
                tensor,
                f"{_name(tensor)} and what it shares a buffer with are partly in HBM and partly written to fast memory",
            )


def _check_copied(tensor: NamedTensor) -> None:
    """Each run of fast uses needs a prefetch. It need not be the first use: one for a loop comes after its body's."""
    for fast, run in groupby(tensor.uses, key=lambda use: use.fast):
        uses = list(run)
        copied = [use for use in uses if use.copy_after is not None]
        if copied and not fast:
            raise InexpressibleError(tensor, f"{copied[0].instruction} has a prefetch of {_name(tensor)} but reads HBM")
        if fast and not copied:
            raise InexpressibleError(tensor, f"nothing brings {_name(tensor)} to fast memory for {uses[0].instruction}")


def _name(tensor: NamedTensor) -> str:
    return tensor.instruction + ("{" + ",".join(map(str, tensor.index)) + "}" if tensor.index else "")
