"""What is wrong with a plan, and the tables that finding out needs."""

from __future__ import annotations

from dataclasses import dataclass

from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.problem.schema import Problem, Tensor


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a plan.

    Attributes:
        cause: a key of ``mallocgame.plan.validate.CAUSES`` or ``mallocgame.plan.expressible.INEXPRESSIBLE``.
        tensor: id of the tensor, or None.
        time: where, or None.
        message: one line.
    """

    cause: str
    tensor: int | None
    time: int | None
    message: str


class PlanTables:
    """A plan by tensor.

    Attributes:
        problem: what the plan is for.
        plan: the plan.
        stays: per tensor that has any, its stays.
        copies: per tensor that has any, its copies.
        touched: ids of the tensors that are ever in fast memory.
    """

    def __init__(self, problem: Problem, plan: Plan) -> None:
        self.problem = problem
        self.plan = plan
        self.stays: dict[int, list[Stay]] = {}
        self.copies: dict[int, list[Copy]] = {}
        for stay in plan.stays:
            self.stays.setdefault(stay.tensor, []).append(stay)
        for copy in plan.copies:
            self.copies.setdefault(copy.tensor, []).append(copy)
        used = {tensor for tensor, _ in plan.fast_uses}
        self.touched = plan.fast_definitions | used | self.stays.keys() | self.copies.keys()

    def violation(self, cause: str, tensor: Tensor, time: int, detail: str = "") -> Violation:
        """The violation at a tensor and a time of the schedule."""
        where = f"{tensor.name} at {time} ({self.problem.instructions[time].name})"
        return Violation(cause, tensor.id, time, f"{cause}: {where}" + (f": {detail}" if detail else ""))

    def arrival(self, copy: Copy) -> int:
        """The first time at which a copy has been waited for: before callees, where its wait is before a caller."""
        callees = (self.problem.computations[number] for number in self.problem.children.get(copy.before, ()))
        return min((callee.start for callee in callees), default=copy.before)
