"""What to do when the compiler refuses an override: allocate that group first, and if that fails leave it in HBM.

Where compiles are few, each refusal cuts the plan down to what surely finds room: the refused group is never the only
one that the compiler sees otherwise than we do, and it names one at a time.
"""

from __future__ import annotations

from dataclasses import replace

from mallocgame.compiler.export.options import allocation_of, compiler_options
from mallocgame.compiler.export.overrides import InexpressibleError
from mallocgame.compiler.failures import OverrideRefusedError
from mallocgame.compiler.verification import Relaxed
from mallocgame.plan.named_plan import NamedPlan, NamedTensor, in_hbm, stem_of

NO_ROOM = "spatial placement conflict"
"""In the compiler's words when it finds no address; another order may help then."""

CUTS = (0.95, 0.9, 0.6)
"""Shares of the fast memory that a plan takes, of which it may keep so much in its last compiles. The allocator is
foreseen by simulation, which is off by a few percent; a plan of much less finds room however far it is off. Less is
dear: clip's plan for v5p was accepted at 0.7, and had lost all of its gain (predicted 15 %)."""


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


class Relaxation:
    """The plan as it is after refusals.

    Attributes:
        named: what to compile next.
        first: groups to allocate before all others.
        relaxed: groups left in HBM so far.
        cuts: how often the memory that it may take was cut.
    """

    def __init__(self, named: NamedPlan) -> None:
        self.named = named
        self.first: tuple[int, ...] = ()
        self.relaxed: list[Relaxed] = []
        self.cuts = 0

    def options(self) -> dict[str, str]:
        """The plan's compiler options; groups that no override can express are left in HBM before.

        Raises:
            BadInputError: a name cannot be written.
        """
        for _ in self.named.tensors:
            try:
                return compiler_options(self.named, self.first)
            except InexpressibleError as error:
                self.leave(error.tensor, str(error))
        return compiler_options(self.named, self.first)

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

    def cut(self, refusal: OverrideRefusedError, left: int) -> None:
        """Leave in HBM what the last ``left`` compiles have no room to find out about; nothing while there are many.

        After a refusal for want of room, and before the last compile, the refused group goes, and the plan is cut to
        what the simulated allocator finds room for in a share of its memory. For another reason all that is made and
        used as the refused tensor is goes: by instructions of the same names, but for their numbers, as the same
        operand.
        """
        if left > len(CUTS):
            return
        if NO_ROOM not in refusal.reason:
            for tensor in _alike(self.named, refusal):
                self.leave(tensor, f"as {refusal.instruction}: {refusal.reason}", cut=True)
            if left > 1:
                return
        elif (refused := refused_tensor(self.named, refusal)) is not None:
            self.leave(refused, refusal.reason)
        self.cuts += 1
        self.first = ()
        order = allocation_of(self.named, share=CUTS[-left])
        if not order.fitting:
            return  # nothing would be left of the plan
        first_of = {tensor.group: tensor for tensor in reversed(self.named.tensors)}
        for block in order.missed:
            self.leave(first_of[block.group], "left out for others to find room", cut=True)
        self.named = replace(self.named, order=order.fitting)

    def leave(self, tensor: NamedTensor, reason: str, cut: bool = False) -> None:
        """Leave a tensor's group in HBM from now on."""
        self.relaxed.append(Relaxed(tensor.group, tensor.name, reason, cut))
        self.named = in_hbm(self.named, [tensor.group])


def _alike(named: NamedPlan, refusal: OverrideRefusedError) -> list[NamedTensor]:
    """Of each group in fast memory that is used as a refused one is, one tensor."""
    if refusal.instruction is None:
        return []
    user, maker = stem_of(refusal.instruction), refusal.defining and stem_of(refusal.defining)
    found: dict[int, NamedTensor] = {}
    for tensor in named.tensors:
        if maker in (None, stem_of(tensor.instruction)) and any(
            use.fast and stem_of(use.instruction) == user and any(n == refusal.operand for n, _ in use.operands)
            for use in tensor.uses
        ):
            found.setdefault(tensor.group, tensor)
    return list(found.values())
