"""Small named plans, written by hand."""

from __future__ import annotations

from collections.abc import Sequence

from mallocgame.plan.named_plan import NamedPlan, NamedTensor, NamedUse
from mallocgame.plan.plan import Copy, Plan, Stay

MIB = 2**20


def use(instruction: str, fast: bool = False, after: int | None = None, operand: int = 0) -> NamedUse:
    """A use through one operand."""
    return NamedUse(instruction, ((operand, ()),), fast, after, None if after is None else f"at.{after}")


def tensor(
    id: int,
    instruction: str,
    uses: Sequence[NamedUse] = (),
    fast: bool = False,
    group: int | None = None,
    size: int = MIB,
    index: tuple[int, ...] = (),
) -> NamedTensor:
    """A tensor, in a group of its own unless told."""
    return NamedTensor(id, instruction, index, size, id if group is None else group, fast, tuple(uses))


def plan(tensors: Sequence[NamedTensor], stays: Sequence[Stay] = (), copies: Sequence[Copy] = ()) -> NamedPlan:
    """A named plan for v5e; flags come from the tensors."""
    return NamedPlan(
        fingerprint="f" * 32,
        module="jit_f",
        target="v5e",
        solver="hand",
        seed=0,
        plan=Plan(
            "f" * 32,
            frozenset(t.id for t in tensors if t.fast_definition),
            frozenset((t.id, n) for t in tensors for n, u in enumerate(t.uses) if u.fast),
            tuple(sorted(stays)),
            tuple(copies),
        ),
        tensors=tuple(tensors),
    )
