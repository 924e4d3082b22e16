"""Whether the compiler's overrides can express a plan. Measured with libtpu 0.0.52."""

from __future__ import annotations

from collections.abc import Iterator

from mallocgame.plan import Copy, Plan
from mallocgame.problem.schema import Problem, Tensor
from mallocgame.violation import PlanTables, Violation

INEXPRESSIBLE = {
    "eviction": "no override asks for a copy from fast memory to HBM",
    "pinned in part": "a tensor written to fast memory stays there for its whole life, all its uses included",
    "alias group in part": "an alias group of several tensors is pinned as a whole, without copies, or in HBM",
    "copy for no use": "a prefetch is asked for one use, which must read it",
    "copy start not expressible": "a prefetch for this use cannot start there, or not at all",
    "kept use beside fast output": "an instruction whose operand is kept in HBM keeps its outputs there too",
}


def inexpressible(problem: Problem, plan: Plan) -> tuple[Violation, ...]:
    """What of a valid ``plan`` the overrides cannot express, none if export can write it; see ``INEXPRESSIBLE``."""
    tables = PlanTables(problem, plan)
    touched = (tensor for tensor in problem.tensors if tensor.id in tables.touched)
    return tuple(violation for tensor in touched for violation in _tensor(tables, tensor))


def _tensor(tables: PlanTables, tensor: Tensor) -> Iterator[Violation]:
    """What of one tensor's placement no override can say."""
    copies = tables.copies.get(tensor.id, [])
    for copy in copies:
        if copy.kind == "eviction":
            yield tables.violation("eviction", tensor, copy.after)
    alone = len(tables.problem.groups[tensor.group].tensors) == 1
    produced = tensor.id in tables.plan.fast_definitions
    slow = [use for number, use in enumerate(tensor.uses) if (tensor.id, number) not in tables.plan.fast_uses]
    if not alone and (copies or not produced or slow):
        yield tables.violation("alias group in part", tensor, tensor.time)
        return
    if produced and (copies or slow):
        yield tables.violation("pinned in part", tensor, tensor.time)
        return
    for copy in copies:
        yield from _prefetch(tables, tensor, copy)
    if produced:
        return
    for use in slow:
        fast = [id for id in tables.problem.definitions_at[use.time] if id in tables.plan.fast_definitions]
        if fast:
            output = tables.problem.tensors[fast[0]].name
            yield tables.violation("kept use beside fast output", tensor, use.time, f"output {output} is fast")


def _prefetch(tables: PlanTables, tensor: Tensor, copy: Copy) -> Iterator[Violation]:
    served = [
        use
        for number, use in enumerate(tensor.uses)
        if use.time == copy.before and (tensor.id, number) in tables.plan.fast_uses
    ]
    if not served:
        yield tables.violation("copy for no use", tensor, copy.after, f"waited for at {copy.before}")
    elif served[0].copy_after is None or copy.after < served[0].copy_after:
        detail = f"earliest start for the use at {copy.before}: {served[0].copy_after}"
        yield tables.violation("copy start not expressible", tensor, copy.after, detail)
