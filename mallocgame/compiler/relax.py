"""What to do when the compiler refuses an override: allocate that group first, and if that fails leave it in HBM."""

from __future__ import annotations

from dataclasses import replace

from mallocgame.compiler.failures import OverrideRefusedError
from mallocgame.compiler.verification import Relaxed
from mallocgame.plan.named_plan import NamedPlan, NamedTensor

NO_ROOM = "spatial placement conflict"
"""In the compiler's words when it finds no address; another order may help then."""


def refused_tensor(named: NamedPlan, refusal: OverrideRefusedError) -> NamedTensor | None:
    """The tensor with something in fast memory that a refusal is about, or None if that cannot be told."""
    using = [tensor for tensor in named.tensors if _reads(tensor, refusal)]
    defined = [
        tensor
        for tensor in named.tensors
        if tensor.instruction == refusal.defining and refusal.index in (None, tensor.index)
    ]
    both = [tensor for tensor in using if tensor in defined]
    for tensor in (*both, *using, *defined):
        if tensor.is_fast:
            return tensor
    return _of_group(named, [*both, *using, *defined])


def _of_group(named: NamedPlan, candidates: list[NamedTensor]) -> NamedTensor | None:
    groups = {tensor.group for tensor in candidates}
    return next((tensor for tensor in named.tensors if tensor.group in groups and tensor.is_fast), None)


def _reads(tensor: NamedTensor, refusal: OverrideRefusedError) -> bool:
    return any(
        use.instruction == refusal.instruction and any(number == refusal.operand for number, _ in use.operands)
        for use in tensor.uses
    )


def leave_in_hbm(named: NamedPlan, group: int) -> NamedPlan:
    """The plan with everything of one alias group in HBM."""
    members = {tensor.id for tensor in named.tensors if tensor.group == group}
    plan = replace(
        named.plan,
        fast_definitions=named.plan.fast_definitions - members,
        fast_uses=frozenset(site for site in named.plan.fast_uses if site[0] not in members),
        stays=tuple(stay for stay in named.plan.stays if stay.tensor not in members),
        copies=tuple(copy for copy in named.plan.copies if copy.tensor not in members),
    )
    tensors = tuple(_in_hbm(tensor) if tensor.id in members else tensor for tensor in named.tensors)
    return replace(named, plan=plan, tensors=tensors)


def _in_hbm(tensor: NamedTensor) -> NamedTensor:
    uses = tuple(replace(use, fast=False, copy_after=None, copy_after_instruction=None) for use in tensor.uses)
    return replace(tensor, fast_definition=False, uses=uses)


class Relaxation:
    """The plan as it is after refusals.

    Attributes:
        named: what to compile next.
        first: groups to allocate before all others.
        relaxed: groups left in HBM so far.
    """

    def __init__(self, named: NamedPlan) -> None:
        self.named = named
        self.first: tuple[int, ...] = ()
        self.relaxed: list[Relaxed] = []

    def refuse(self, refusal: OverrideRefusedError) -> bool:
        """Take a refusal into account; False if it does not tell which tensor it is about."""
        tensor = refused_tensor(self.named, refusal)
        if tensor is None:
            return False
        if NO_ROOM in refusal.reason and tensor.group not in self.first:
            self.first = (tensor.group, *self.first)
            return True
        self.leave(tensor, refusal.reason)
        return True

    def leave(self, tensor: NamedTensor, reason: str) -> None:
        """Leave a tensor's group in HBM from now on."""
        name = tensor.instruction + ("{" + ",".join(map(str, tensor.index)) + "}" if tensor.index else "")
        self.relaxed.append(Relaxed(tensor.group, name, reason))
        self.named = leave_in_hbm(self.named, tensor.group)
