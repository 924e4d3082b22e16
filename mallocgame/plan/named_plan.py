"""A plan together with the names that export needs, so that it can be read without its problem."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from mallocgame.plan.confirmation import Confirmation
from mallocgame.plan.plan import Plan
from mallocgame.plan.reach import Gaps
from mallocgame.problem import priority
from mallocgame.problem.placement import HINTED
from mallocgame.problem.schema import Problem, Reservation, ShapeIndex, position_name
from mallocgame.system.errors import BadInputError

Option = str | int | float | bool | None
"""What a recorded option may be."""

FILE_OPTION = "file"
"""The recorded option that says which file a plan was solved from."""


@dataclass(frozen=True, slots=True)
class NamedUse:
    """A use by its names.

    Attributes:
        instruction: name of the reading instruction.
        operands: (operand number, tuple index) of each operand that is the tensor.
        fast: whether it reads fast memory.
        copy_after: time after whose instruction the prefetch planned for this use starts; None without one.
        copy_after_instruction: name of that instruction; None without a prefetch.
        time: of the reading instruction.
        far: whether it is beyond the plan's reach of the use before.
        loop: whether it is a loop that takes the tensor in.
    """

    instruction: str
    operands: tuple[tuple[int, ShapeIndex], ...]
    fast: bool
    copy_after: int | None = None
    copy_after_instruction: str | None = None
    time: int = 0
    far: bool = False
    loop: bool = False


@dataclass(frozen=True, slots=True)
class NamedTensor:
    """A tensor by its names.

    Attributes:
        id: its id in the problem and its position in ``NamedPlan.tensors``.
        instruction: name of the defining instruction.
        index: tuple index of the defining position.
        size: padded bytes.
        group: number of its alias group.
        fast_definition: whether it is written to fast memory.
        uses: as in the problem, same order.
        hinted: whether the compiler's own hint places it, and no override may.
    """

    id: int
    instruction: str
    index: ShapeIndex
    size: int
    group: int
    fast_definition: bool
    uses: tuple[NamedUse, ...]
    hinted: bool = False

    @property
    def name(self) -> str:
        """As ``Tensor.name``."""
        return position_name(self.instruction, self.index)

    @property
    def is_fast(self) -> bool:
        """Whether the plan has anything of it in fast memory."""
        return self.fast_definition or any(use.fast for use in self.uses)


@dataclass(frozen=True)
class NamedPlan:
    """A plan and what export needs to know of its problem.

    Attributes:
        fingerprint: of the problem.
        module: name of the HLO module.
        target: name of the target, e.g. ``"v5e"``.
        solver: name of the solver that made it.
        seed: of that solver.
        options: other recorded options of that solver.
        versions: versions of what made the capture, e.g. ``{"libtpu": "0.0.52"}``.
        scoped_vmem_kib: the memory split that the plan is for; None for the compiler's default.
        plan: the plan itself, in the problem's ids and times.
        tensors: every tensor of the problem.
        order: alias groups in an order in which the compiler is foreseen to find room for all of them; empty where none
            has been sought yet.
        reserved: of the problem: what instructions take of fast memory for themselves.
        confirmation: what its compiles confirmed; None of a plan that is only predicted.
        tiers: alias groups that are in fast memory, in the order in which the compiler allocates by itself; those of a
            tier may come in any order. Empty in files of before it was recorded.
    """

    fingerprint: str
    module: str
    target: str
    solver: str
    seed: int
    plan: Plan
    tensors: tuple[NamedTensor, ...]
    options: Mapping[str, Option] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    scoped_vmem_kib: int | None = None
    order: tuple[int, ...] = ()
    reserved: tuple[Reservation, ...] = ()
    confirmation: Confirmation | None = None
    tiers: tuple[tuple[int, ...], ...] = ()


def name_plan(
    problem: Problem,
    plan: Plan,
    *,
    solver: str,
    seed: int = 0,
    options: Mapping[str, Option] | None = None,
    versions: Mapping[str, str] | None = None,
    scoped_vmem_kib: int | None = None,
) -> NamedPlan:
    """Add the names of ``problem`` to ``plan``.

    A use gets ``copy_after`` from the prefetch of its tensor that is waited for just before it.

    Raises:
        BadInputError: the plan is for another problem.
    """
    if plan.fingerprint != problem.fingerprint:
        raise BadInputError(_other_program(plan.fingerprint, problem))
    starts = {(copy.tensor, copy.before): copy.after for copy in plan.copies if copy.kind == "prefetch"}
    gaps, tensors = Gaps(problem), []
    for tensor in problem.tensors:
        uses, far = [], gaps.beyond(tensor, plan.reach, since=None)
        for number, use in enumerate(tensor.uses):
            after = starts.get((tensor.id, use.time))
            uses.append(
                NamedUse(
                    instruction=problem.instructions[use.time].name,
                    operands=use.operands,
                    fast=(tensor.id, number) in plan.fast_uses,
                    copy_after=after,
                    copy_after_instruction=None if after is None else problem.instructions[after].name,
                    time=use.time,
                    far=far[number],
                    loop=problem.instructions[use.time].opcode == "while",
                )
            )
        tensors.append(
            NamedTensor(
                id=tensor.id,
                instruction=tensor.instruction,
                index=tensor.index,
                size=tensor.size,
                group=tensor.group,
                fast_definition=tensor.id in plan.fast_definitions,
                uses=tuple(uses),
                hinted=tensor.fixed == HINTED,
            )
        )
    return NamedPlan(
        fingerprint=problem.fingerprint,
        module=problem.module,
        target=problem.target.name,
        solver=solver,
        seed=seed,
        options=dict(options or {}),
        versions=dict(versions or {}),
        scoped_vmem_kib=scoped_vmem_kib,
        plan=plan,
        tensors=tuple(tensors),
        reserved=problem.reserved,
        tiers=_tiers(problem, plan),
    )


def _tiers(problem: Problem, plan: Plan) -> tuple[tuple[int, ...], ...]:
    """Of the tiers in which the compiler allocates, what the plan has in fast memory."""
    moved = {problem.tensors[stay.tensor].group for stay in plan.stays}
    tiers = (tuple(group for group in tier if group in moved) for tier in priority.tiers(problem))
    return tuple(tier for tier in tiers if tier)


def in_hbm(named: NamedPlan, groups: Collection[int]) -> NamedPlan:
    """The plan with everything of some alias groups in HBM."""
    members = {tensor.id for tensor in named.tensors if tensor.group in groups}
    plan = replace(
        named.plan,
        fast_definitions=named.plan.fast_definitions - members,
        fast_uses=frozenset(site for site in named.plan.fast_uses if site[0] not in members),
        stays=tuple(stay for stay in named.plan.stays if stay.tensor not in members),
        copies=tuple(copy for copy in named.plan.copies if copy.tensor not in members),
    )
    tensors = tuple(_whole_in_hbm(tensor) if tensor.id in members else tensor for tensor in named.tensors)
    return replace(named, plan=plan, tensors=tensors)


def _whole_in_hbm(tensor: NamedTensor) -> NamedTensor:
    uses = tuple(replace(use, fast=False, copy_after=None, copy_after_instruction=None) for use in tensor.uses)
    return replace(tensor, fast_definition=False, uses=uses)


def stem_of(name: str) -> str:
    """An instruction's name without its number."""
    stem, _, number = name.rpartition(".")
    return stem if stem and number.isdecimal() else name


def check_plan(named: NamedPlan, problem: Problem) -> None:
    """Refuse a plan that is not for ``problem``.

    An older file tells neither loops, hints nor reservations, and may count what is beyond reach otherwise, which is no
    contradiction.

    Raises:
        BadInputError: another fingerprint, target, or other tensors or reservations.
    """
    if named.fingerprint != problem.fingerprint:
        how = "`mallocgame solve FILE --from PLAN` carries it over"
        raise BadInputError(f"{_other_program(named.fingerprint, problem)}: {how}")
    if named.target != problem.target.name:
        raise BadInputError(f"the plan is for target {named.target!r}, not for {problem.target.name!r}")
    if named.reserved not in ((), problem.reserved):
        raise BadInputError("what instructions reserve of fast memory is not the same in the plan and in the program")
    if len(named.tensors) != len(problem.tensors):
        raise BadInputError(f"the plan lists {len(named.tensors)} tensors, the program has {len(problem.tensors)}")
    expected = name_plan(problem, named.plan, solver=named.solver).tensors
    for ours, theirs in zip(named.tensors, expected, strict=True):
        if _reached(ours) not in (_reached(theirs), _reached(_untold(theirs))):
            raise BadInputError(f"tensor {ours.id} of the plan ({ours.instruction}) does not agree with the program's")


def _untold(tensor: NamedTensor) -> NamedTensor:
    """A tensor without what older files do not tell."""
    return replace(tensor, hinted=False, uses=tuple(replace(use, loop=False) for use in tensor.uses))


def _reached(tensor: NamedTensor) -> NamedTensor:
    """A tensor without what follows from its plan's reach."""
    return replace(tensor, uses=tuple(replace(use, far=False) for use in tensor.uses))


def _other_program(fingerprint: str, problem: Problem) -> str:
    return (
        f"the plan is for another program or schedule (fingerprint {fingerprint[:16]}, "
        f"{problem.module} has {problem.fingerprint[:16]})"
    )
