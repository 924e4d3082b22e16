"""Whether the compiler's overrides can express a plan. Measured with libtpu 0.0.52: docs/expressibility.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from mallocgame.plan.plan import Copy, Plan
from mallocgame.plan.reach import Gaps
from mallocgame.plan.violation import PlanTables, Violation
from mallocgame.problem.evictions import eviction_of, product_eviction, product_wait
from mallocgame.problem.placement import is_directly_after, starts_in_hbm
from mallocgame.problem.schema import Problem, Tensor, Use

INEXPRESSIBLE = {
    "eviction": "only an entry result is evicted, or what an instruction of the entry makes for uses in fast memory "
    "before one in HBM, once, after its definition, at a time that the compiler chooses",
    "pinned in part": "a tensor written to fast memory stays there for its whole life, all its uses included; an "
    "entry result until its eviction",
    "alias group in part": "an alias group of several tensors is pinned as a whole or in HBM; an entry parameter that "
    "is its first tensor may be prefetched, and if the update in place reads the prefetch, the rest is pinned",
    "copy for no use": "a prefetch is asked for one use, which must read it",
    "copy start not expressible": "a prefetch for this use cannot start there, or not at all",
    "call in part": "a prefetch for an instruction that calls computations serves all uses in them",
    "first use of a product": "what an instruction produces, to be copied later, has its first use in HBM, unless two "
    "cores write it",
    "copies without HBM use between": "a tensor is copied again only after a use that is kept in HBM, or for one that "
    "is beyond the plan's reach",
    "beyond reach": "the compiler does not keep a copy, or what it made, for a use that is beyond the plan's reach",
    "reach": "a plan for a program with loops or conditionals has no reach, and any other's is more than 0",
    "copy kept past an HBM use": "the uses that one copy serves have no HBM use between them",
    "kept use beside fast output": "a use that is kept in HBM keeps outputs of its tuple index and size there for good",
}


def inexpressible(problem: Problem, plan: Plan) -> tuple[Violation, ...]:
    """What of a valid ``plan`` the overrides cannot express, none if export can write it; see ``INEXPRESSIBLE``."""
    tables = PlanTables(problem, plan)
    if plan.reach is not None and (problem.children or not plan.reach > 0):
        return (Violation("reach", None, None, f"reach: {INEXPRESSIBLE['reach']}"),)
    gaps = Gaps(problem)
    touched = (tensor for tensor in problem.tensors if tensor.id in tables.touched)
    return tuple(violation for tensor in touched for violation in _tensor(tables, tensor, gaps))


def _tensor(tables: PlanTables, tensor: Tensor, gaps: Gaps) -> Iterator[Violation]:
    copies = sorted(tables.copies.get(tensor.id, []), key=lambda copy: copy.before)
    group = tables.problem.groups[tensor.group]
    produced = tensor.id in tables.plan.fast_definitions
    slow = [use for number, use in enumerate(tensor.uses) if (tensor.id, number) not in tables.plan.fast_uses]
    wait = product_wait(tables.problem, tensor) if produced and (slow or copies) else None
    far = _far(tables, tensor, gaps)
    if wait is not None:
        yield from _evicted(tables, tensor, copies, wait, far)
        return
    if not produced and _may_be_copied(tables, tensor):
        yield from _copied(tables, tensor, copies, far, made_fast=False)
        return
    evictions = [copy for copy in copies if copy.kind == "eviction"]
    planned = eviction_of(tables.problem, group)
    due = planned is not None and planned.tensor == tensor.id and produced
    if [(copy.after, copy.before) for copy in evictions] != ([planned[1:]] if planned and due else []):
        time = evictions[0].after if evictions else tensor.time
        yield tables.violation("eviction", tensor, time, f"the compiler evicts it so: {planned}" if due else "")
    if planned is not None and due:
        root = len(tables.problem.instructions) - 1
        slow = [use for use in slow if use.time <= planned.before and use.time != root]
    if len(group.tensors) > 1 and (len(evictions) < len(copies) or not produced or slow):
        yield tables.violation("alias group in part", tensor, tensor.time)
    elif produced and (len(evictions) < len(copies) or slow):
        yield tables.violation("pinned in part", tensor, tensor.time)


def _may_be_copied(tables: PlanTables, tensor: Tensor) -> bool:
    """Whether a tensor that is defined in HBM may have prefetches: one that is alone, or updated in place."""
    members = tables.problem.groups[tensor.group].tensors
    if len(members) == 1:
        return True
    updated = min(tables.problem.tensors[id].time for id in members[1:])
    times = [use.time for use in tensor.uses]
    given = tensor.id == members[0] and tensor.hbm_definition == "entry parameter"
    once = times[-1:] == [updated] and times.count(updated) == 1
    return given and once and tables.problem.instructions[updated].opcode != "conditional"


def _far(tables: PlanTables, tensor: Tensor, gaps: Gaps) -> list[bool]:
    """Per use whether it is read beyond the reach of the one before, the first one of the definition."""
    read = set(_read(tables, tensor))
    far = gaps.beyond(tensor, tables.plan.reach, since=tensor.time)
    return [far[number] and number in read for number in range(len(far))]


def _evicted(
    tables: PlanTables, tensor: Tensor, copies: list[Copy], wait: int, far: Sequence[bool]
) -> Iterator[Violation]:
    """A product, made in fast memory for its first uses, and then in HBM."""
    fast = [(tensor.id, number) in tables.plan.fast_uses for number in range(len(tensor.uses))]
    last = next((n for n in range(len(fast)) if not fast[n] or (n and far[n])), len(fast)) - 1
    if last < 0 or last == len(fast) - 1:
        yield tables.violation("pinned in part", tensor, tensor.time, f"{last + 1} uses follow from its definition")
        return
    evictions = [copy for copy in copies if copy.kind == "eviction"]
    planned = product_eviction(tensor, last, wait)
    if [(copy.after, copy.before) for copy in evictions] != [planned[1:]]:
        yield tables.violation("eviction", tensor, tensor.time, f"the compiler evicts it so: {planned}")
    prefetches = [copy for copy in copies if copy.kind == "prefetch"]
    for copy in prefetches:
        if is_directly_after(copy.before, planned.before):
            yield tables.violation("copy start not expressible", tensor, copy.after, "no time between eviction and use")
    yield from _copied(tables, tensor, prefetches, far, made_fast=True)


def _copied(
    tables: PlanTables, tensor: Tensor, copies: list[Copy], far: Sequence[bool], *, made_fast: bool
) -> Iterator[Violation]:
    """A tensor in HBM, or ``made_fast`` and evicted, some uses of which read fast copies."""
    for copy in copies:
        if copy.kind == "eviction":
            yield tables.violation("eviction", tensor, copy.after)
    fast = [(tensor.id, number) in tables.plan.fast_uses for number in range(len(tensor.uses))]
    given = starts_in_hbm(tables.problem, tensor)
    served: set[int] = set()
    first_served = [0] if made_fast else []
    for copy in copies:
        numbers = _served(tables, tensor, copy)
        yield from _prefetch(tables, tensor, copy, [number for number in numbers if fast[number]], len(numbers))
        served.update(numbers)
        first_served.extend(numbers[:1])
    for one, other in pairwise(first_served):
        if all(fast[number] for number in _read(tables, tensor) if one <= number < other) and not far[other]:
            yield tables.violation("copies without HBM use between", tensor, tensor.uses[other].time)
    before: bool | None = True if made_fast else None
    for number in _read(tables, tensor):
        use, first_of_product = tensor.uses[number], before is None and not given
        if fast[number] and number not in served and not before:
            yield tables.violation("copy kept past an HBM use", tensor, use.time)
        if fast[number] and number not in served and far[number]:
            yield tables.violation("beyond reach", tensor, use.time)
        if fast[number] and first_of_product:
            yield tables.violation("first use of a product", tensor, use.time)
        if not fast[number] and ((before and not far[number]) or first_of_product):
            yield from _kept(tables, tensor, use)
        before = fast[number]


def _read(tables: PlanTables, tensor: Tensor) -> list[int]:
    """The uses that the compiler serves, in program order: a bitcast is none to it."""
    opcodes = (tables.problem.instructions[use.time].opcode for use in tensor.uses)
    return [number for number, opcode in enumerate(opcodes) if opcode != "bitcast"]


def _served(tables: PlanTables, tensor: Tensor, copy: Copy) -> list[int]:
    """The uses that a prefetch is asked for: the one at its wait, and those in what is called there."""
    first = tables.arrival(copy)
    return [number for number, use in enumerate(tensor.uses) if first <= use.time <= copy.before]


def _prefetch(tables: PlanTables, tensor: Tensor, copy: Copy, fast: list[int], asked: int) -> Iterator[Violation]:
    """One prefetch; ``fast`` are those of the ``asked`` uses that read it."""
    if not fast or tensor.uses[fast[-1]].time != copy.before:
        yield tables.violation("copy for no use", tensor, copy.after, f"waited for at {copy.before}")
        return
    if len(fast) < asked:
        yield tables.violation("call in part", tensor, copy.before)
    earliest = tensor.uses[fast[-1]].copy_after
    if is_directly_after(copy.before, tensor.time):
        yield tables.violation("copy start not expressible", tensor, copy.after, "no time between definition and use")
    elif earliest is None or copy.after < earliest:
        detail = f"earliest start for the use at {copy.before}: {earliest}"
        yield tables.violation("copy start not expressible", tensor, copy.after, detail)
    elif copy.before in tables.problem.children and copy.after >= _previous(tables.problem, copy.before):
        detail = f"the instruction before the call at {copy.before} waits for it"
        yield tables.violation("copy start not expressible", tensor, copy.after, detail)


def _previous(problem: Problem, time: int) -> int:
    """The time of the instruction before, in the same computation; -1 if there is none."""
    computation = problem.instructions[time].computation
    return next((t for t in range(time - 1, -1, -1) if problem.instructions[t].computation == computation), -1)


def _kept(tables: PlanTables, tensor: Tensor, use: Use) -> Iterator[Violation]:
    """A use that needs an override of its own to stay in HBM."""
    indices = {index for _, index in use.operands}
    for id in tables.problem.definitions_at[use.time]:
        output = tables.problem.tensors[id]
        if id in tables.touched and output.index in indices and output.size == tensor.size:
            yield tables.violation("kept use beside fast output", tensor, use.time, f"output {output.name} is fast")
