"""Whether a plan is valid for a problem, and whether the compiler's overrides can express it.

Shares no code with the game or the solvers. Every violation has one named cause; ``CAUSES`` and ``INEXPRESSIBLE``
list them all with what they mean.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mallocgame.plan import Copy, Plan, Stay
from mallocgame.problem.schema import Problem, Tensor, Use

CAUSES = {
    "wrong fingerprint": "the plan is for another program or schedule",
    "unknown tensor": "a tensor id that the problem does not have",
    "unknown use": "a use that the tensor does not have",
    "time out of range": "a time outside the schedule, or an interval that ends before it starts",
    "listed twice": "the same stay or copy twice",
    "misaligned": "an offset that is negative or no multiple of the alignment",
    "beyond capacity": "a stay that ends above the fast memory",
    "overlap": "stays of two alias groups share bytes at one time",
    "twice in fast memory": "two stays of one tensor share a time",
    "fixed in HBM": "a tensor that may never be in fast memory is there",
    "definition must be in HBM": "an entry parameter, constant or entry result (without eviction) is written to fast "
    "memory",
    "definition without stay": "a definition in fast memory without a stay that its live range begins with",
    "stay without reason": "a stay that begins neither at a definition in fast memory nor with a prefetch",
    "stay ends before live range": "a tensor that is only in fast memory leaves it too early",
    "use without stay": "a use in fast memory while the tensor is not there",
    "copy after use": "a use in fast memory before its prefetch is waited for",
    "use in HBM without copy there": "a use in HBM of a tensor that is only in fast memory",
    "copy starts before definition": "a copy of what does not exist yet",
    "copy crosses computation": "a copy's start, wait and tensor are not all in one computation",
    "copy waited for before its start": "a copy whose wait is not after its start",
    "copy without stay": "a prefetch without a stay from its start to its wait",
    "prefetch without data in HBM": "a prefetch of a tensor that is only in fast memory",
    "eviction without stay": "an eviction while the tensor is not in fast memory",
    "alias group disagrees": "of tensors that share a buffer some are in fast memory and some in HBM",
    "alias offsets differ": "tensors that share a buffer have different offsets",
}

INEXPRESSIBLE = {
    "eviction": "no override asks for a copy from fast memory to HBM",
    "pinned in part": "a tensor written to fast memory stays there for its whole life, all its uses included",
    "alias group in part": "an alias group of several tensors is pinned as a whole, without copies, or in HBM",
    "copy for no use": "a prefetch is asked for one use, which must read it",
    "copy start not expressible": "a prefetch for this use cannot start there, or not at all",
    "kept use beside fast output": "an instruction whose operand is kept in HBM keeps its outputs there too",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a plan.

    Attributes:
        cause: a key of ``CAUSES`` or ``INEXPRESSIBLE``.
        tensor: id of the tensor, or None.
        time: where, or None.
        message: one line.
    """

    cause: str
    tensor: int | None
    time: int | None
    message: str


def validate(problem: Problem, plan: Plan) -> tuple[Violation, ...]:
    """All violations of ``plan``, none if it is valid. Where ids or times are out of range, those alone.

    A stay is the closed interval of times in which it occupies [offset, offset + size). A prefetch occupies its bytes
    from the instruction after its start, serves uses from ``before`` on, and its stay begins at ``after + 1``. Stays
    of one alias group may share bytes at the same offset. A *joint* is a use that an alias group shares a buffer
    through: at an instruction that defines another tensor of the group, or that passes the tensor to or from another
    computation; definitions and joints of a group are all in fast memory or all in HBM. The program's own result is
    no joint: it may be evicted.
    """
    if plan.fingerprint != problem.fingerprint:
        message = (
            f"wrong fingerprint: the plan is for {plan.fingerprint[:16]}, the problem is {problem.fingerprint[:16]}"
        )
        return (Violation("wrong fingerprint", None, None, message),)
    check = _Check(problem, plan)
    structure = tuple(check.structure())
    if structure:
        return structure
    found = [*check.space(), *check.groups()]
    for tensor in problem.tensors:
        if tensor.id in check.touched:
            found.extend(check.tensor(tensor))
    return tuple(found)


def inexpressible(problem: Problem, plan: Plan) -> tuple[Violation, ...]:
    """What of a valid ``plan`` the compiler's overrides cannot express, none if export can write it.

    Measured with libtpu 0.0.52; the reasons stand in ``INEXPRESSIBLE``.
    """
    check = _Check(problem, plan)
    found: list[Violation] = []
    for tensor in problem.tensors:
        if tensor.id in check.touched:
            found.extend(check.expression(tensor))
    return tuple(found)


class _Check:
    """Tables of one problem and plan.

    Attributes:
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

    def _violation(self, cause: str, tensor: Tensor, time: int, detail: str = "") -> Violation:
        where = f"{tensor.name} at {time} ({self.problem.instructions[time].name})"
        return Violation(cause, tensor.id, time, f"{cause}: {where}" + (f": {detail}" if detail else ""))

    def structure(self) -> Iterator[Violation]:
        """Ids and times out of range, and repetitions."""
        tensors, end = self.problem.tensors, len(self.problem.instructions)
        ids = {stay.tensor for stay in self.plan.stays} | {copy.tensor for copy in self.plan.copies}
        for id in sorted(ids | self.plan.fast_definitions | {tensor for tensor, _ in self.plan.fast_uses}):
            if not 0 <= id < len(tensors):
                yield Violation("unknown tensor", id, None, f"unknown tensor: {id} of {len(tensors)}")
        for id, number in sorted(self.plan.fast_uses):
            if 0 <= id < len(tensors) and not 0 <= number < len(tensors[id].uses):
                yield Violation("unknown use", id, None, f"unknown use: {number} of {tensors[id].name}")
        for stay in self.plan.stays:
            if not 0 <= stay.start <= stay.end < end:
                yield Violation("time out of range", stay.tensor, stay.start, f"time out of range: {stay}")
        for copy in self.plan.copies:
            if not (0 <= copy.after < end and 0 <= copy.before < end):
                yield Violation("time out of range", copy.tensor, copy.after, f"time out of range: {copy}")
        items: Iterable[Stay | Copy] = (*self.plan.stays, *self.plan.copies)
        seen: set[Stay | Copy] = set()
        for item in items:
            if item in seen:
                yield Violation("listed twice", item.tensor, None, f"listed twice: {item}")
            seen.add(item)

    def space(self) -> Iterator[Violation]:
        """Alignment, capacity, and bytes taken twice."""
        target, tensors = self.problem.target, self.problem.tensors
        active: list[tuple[int, Stay]] = []
        for stay in sorted(self.plan.stays, key=lambda stay: stay.start):
            tensor = tensors[stay.tensor]
            high = stay.offset + tensor.size
            if stay.offset < 0 or stay.offset % target.alignment:
                yield self._violation("misaligned", tensor, stay.start, f"offset {stay.offset}")
            if high > target.fast_bytes:
                yield self._violation("beyond capacity", tensor, stay.start, f"{high} > {target.fast_bytes} bytes")
            while active and active[0][0] < stay.start:
                heapq.heappop(active)
            for _, other in active:
                theirs = tensors[other.tensor]
                if theirs.id == tensor.id:
                    yield self._violation("twice in fast memory", tensor, stay.start)
                elif theirs.group != tensor.group and other.offset < high and stay.offset < other.offset + theirs.size:
                    yield self._violation("overlap", tensor, stay.start, f"with {theirs.name} at offset {other.offset}")
            heapq.heappush(active, (stay.end, stay))

    def groups(self) -> Iterator[Violation]:
        """Agreement of the tensors that share a buffer."""
        for group in self.problem.groups:
            members = [self.problem.tensors[id] for id in group.tensors]
            if len(members) < 2 or not any(member.id in self.touched for member in members):
                continue
            fast = [member.id in self.plan.fast_definitions for member in members]
            if any(fast) and not all(fast):
                odd = members[fast.index(False)]
                pinned = members[fast.index(True)].name
                yield self._violation("alias group disagrees", odd, odd.time, f"in HBM, but {pinned} is not")
            else:
                yield from self._joints(members, fast[0])
            stays = [(stay, member) for member in members for stay in self.stays.get(member.id, ())]
            for stay, member in stays:
                if stay.offset != stays[0][0].offset:
                    detail = f"{stay.offset}, but {stays[0][0].offset} for {stays[0][1].name}"
                    yield self._violation("alias offsets differ", member, stay.start, detail)

    def _joints(self, members: list[Tensor], fast: bool) -> Iterator[Violation]:
        defined = {member.time for member in members}
        last = len(self.problem.instructions) - 1
        for member in members:
            for number, use in enumerate(member.uses):
                joint = use.time in defined or (use.copy_after is None and use.time != last)
                if joint and ((member.id, number) in self.plan.fast_uses) != fast:
                    place = "HBM" if fast else "fast memory"
                    yield self._violation("alias group disagrees", member, use.time, f"this use is in {place}")

    def tensor(self, tensor: Tensor) -> Iterator[Violation]:
        """Everything about one tensor that is ever in fast memory."""
        stays, copies = self.stays.get(tensor.id, []), self.copies.get(tensor.id, [])
        prefetches = [copy for copy in copies if copy.kind == "prefetch"]
        evictions = [copy for copy in copies if copy.kind == "eviction"]
        if tensor.fixed is not None:
            yield self._violation("fixed in HBM", tensor, tensor.time, tensor.fixed)
        for copy in copies:
            yield from self._copy(tensor, copy)
        produced = tensor.id in self.plan.fast_definitions
        if produced:
            yield from self._produced(tensor, stays, evictions)
        starts = {copy.after + 1 for copy in prefetches}
        for stay in stays:
            if stay.start not in starts and not (produced and tensor.live[0] <= stay.start <= tensor.time):
                yield self._violation("stay without reason", tensor, stay.start)
        for copy in prefetches:
            if not any(stay.start == copy.after + 1 and stay.end >= copy.before for stay in stays):
                yield self._violation("copy without stay", tensor, copy.after)
            if produced and not any(eviction.before <= copy.after + 1 for eviction in evictions):
                yield self._violation("prefetch without data in HBM", tensor, copy.after)
        for copy in evictions:
            if not any(stay.start <= copy.after and stay.end >= copy.before - 1 for stay in stays):
                yield self._violation("eviction without stay", tensor, copy.after)
        for number, use in enumerate(tensor.uses):
            if (tensor.id, number) in self.plan.fast_uses:
                yield from self._fast_use(tensor, use, stays, prefetches)
            elif produced and not any(eviction.before <= use.time for eviction in evictions):
                yield self._violation("use in HBM without copy there", tensor, use.time)

    def _copy(self, tensor: Tensor, copy: Copy) -> Iterator[Violation]:
        instructions = self.problem.instructions
        if copy.after < tensor.time:
            yield self._violation("copy starts before definition", tensor, copy.after)
        if copy.before <= copy.after:
            yield self._violation("copy waited for before its start", tensor, copy.before)
        if len({instructions[time].computation for time in (tensor.time, copy.after, copy.before)}) > 1:
            yield self._violation("copy crosses computation", tensor, copy.after, f"waited for at {copy.before}")

    def _produced(self, tensor: Tensor, stays: list[Stay], evictions: list[Copy]) -> Iterator[Violation]:
        instruction = self.problem.instructions[tensor.time]
        given = instruction.opcode in ("parameter", "constant")
        group = self.problem.groups[tensor.group].tensors
        evicted = bool(evictions) or any(copy.kind == "eviction" for id in group for copy in self.copies.get(id, ()))
        if tensor.hbm_definition is not None and (given or not evicted):
            yield self._violation("definition must be in HBM", tensor, tensor.time, tensor.hbm_definition)
        stay = next((stay for stay in stays if tensor.live[0] <= stay.start <= tensor.time <= stay.end), None)
        if stay is None:
            yield self._violation("definition without stay", tensor, tensor.time)
        elif not evictions and stay.end < tensor.live[1]:
            detail = f"until {stay.end}, needed until {tensor.live[1]}"
            yield self._violation("stay ends before live range", tensor, stay.end, detail)

    def _fast_use(self, tensor: Tensor, use: Use, stays: list[Stay], prefetches: list[Copy]) -> Iterator[Violation]:
        stay = next((stay for stay in stays if stay.start <= use.time <= stay.end), None)
        if stay is None:
            yield self._violation("use without stay", tensor, use.time)
            return
        waits = [copy.before for copy in prefetches if copy.after + 1 == stay.start]
        if waits and min(waits) > use.time:
            yield self._violation("copy after use", tensor, use.time, f"waited for at {min(waits)}")

    def expression(self, tensor: Tensor) -> Iterator[Violation]:
        """What of one tensor's placement no override can say."""
        copies = self.copies.get(tensor.id, [])
        for copy in copies:
            if copy.kind == "eviction":
                yield self._violation("eviction", tensor, copy.after)
        alone = len(self.problem.groups[tensor.group].tensors) == 1
        produced = tensor.id in self.plan.fast_definitions
        slow = [use for number, use in enumerate(tensor.uses) if (tensor.id, number) not in self.plan.fast_uses]
        if not alone and (copies or not produced or slow):
            yield self._violation("alias group in part", tensor, tensor.time)
            return
        if produced and (copies or slow):
            yield self._violation("pinned in part", tensor, tensor.time)
            return
        for copy in copies:
            yield from self._prefetch(tensor, copy)
        if produced:
            return
        for use in slow:
            fast = [id for id in self.problem.definitions_at[use.time] if id in self.plan.fast_definitions]
            if fast:
                output = self.problem.tensors[fast[0]].name
                yield self._violation("kept use beside fast output", tensor, use.time, f"output {output} is fast")

    def _prefetch(self, tensor: Tensor, copy: Copy) -> Iterator[Violation]:
        served = [
            use
            for number, use in enumerate(tensor.uses)
            if use.time == copy.before and (tensor.id, number) in self.plan.fast_uses
        ]
        if not served:
            yield self._violation("copy for no use", tensor, copy.after, f"waited for at {copy.before}")
        elif served[0].copy_after is None or copy.after < served[0].copy_after:
            detail = f"earliest start for the use at {copy.before}: {served[0].copy_after}"
            yield self._violation("copy start not expressible", tensor, copy.after, detail)
