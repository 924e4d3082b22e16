"""Whether a plan is valid for a problem.

Shares no code with the game or the solvers. Every violation has one named cause; ``CAUSES`` lists them all.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from mallocgame.plan.expressible import INEXPRESSIBLE, inexpressible
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.violation import PlanTables, Violation
from mallocgame.problem.schema import Problem, Tensor, Use

__all__ = ["CAUSES", "INEXPRESSIBLE", "Violation", "inexpressible", "validate"]

CAUSES = {
    "wrong fingerprint": "the plan is for another program or schedule",
    "unknown tensor": "a tensor id that the problem does not have",
    "unknown use": "a use that the tensor does not have",
    "time out of range": "a time outside the schedule, or an interval that ends before it starts",
    "listed twice": "the same stay or copy twice",
    "misaligned": "an offset that is negative or no multiple of the alignment",
    "beyond capacity": "a stay that ends above the fast memory",
    "reserved": "a stay has bytes that an instruction reserves for itself at that time",
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
    "copy crosses computation": "a copy's start and wait are not in one computation, where the tensor is known",
    "copy waited for before its start": "a copy whose wait is not after its start",
    "copy without stay": "a prefetch without a stay from its start to its wait",
    "prefetch without data in HBM": "a prefetch of a tensor that is only in fast memory",
    "eviction without stay": "an eviction while the tensor is not in fast memory",
    "alias group disagrees": "of tensors that share a buffer some are in fast memory and some in HBM",
    "alias offsets differ": "tensors that share a buffer have different offsets",
}


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


class _Check(PlanTables):
    """The rules, each a generator of what breaks it."""

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
        """Alignment, capacity, what instructions reserve, and bytes taken twice."""
        target, tensors = self.problem.target, self.problem.tensors
        active: list[tuple[int, Stay]] = []
        for stay in sorted(self.plan.stays, key=lambda stay: stay.start):
            tensor = tensors[stay.tensor]
            high = stay.offset + tensor.size
            if stay.offset < 0 or stay.offset % target.alignment:
                yield self.violation("misaligned", tensor, stay.start, f"offset {stay.offset}")
            if high > target.fast_bytes:
                yield self.violation("beyond capacity", tensor, stay.start, f"{high} > {target.fast_bytes} bytes")
            for one in self.problem.reserved:
                beside = high <= one.offset or one.offset + one.size <= stay.offset
                if not beside and stay.start <= one.end and one.start <= stay.end:
                    detail = f"{one.size} bytes at offset {one.offset} are the instructions' own from {one.start} on"
                    yield self.violation("reserved", tensor, max(stay.start, one.start), detail)
            while active and active[0][0] < stay.start:
                heapq.heappop(active)
            for _, other in active:
                theirs = tensors[other.tensor]
                if theirs.id == tensor.id:
                    yield self.violation("twice in fast memory", tensor, stay.start)
                elif theirs.group != tensor.group and other.offset < high and stay.offset < other.offset + theirs.size:
                    yield self.violation("overlap", tensor, stay.start, f"with {theirs.name} at offset {other.offset}")
            heapq.heappush(active, (stay.end, stay))

    def groups(self) -> Iterator[Violation]:
        """Agreement of the tensors that share a buffer."""
        for group in self.problem.groups:
            members = [self.problem.tensors[id] for id in group.tensors]
            if len(members) < 2 or not any(member.id in self.touched for member in members):
                continue
            made = [member for member in members if not self._is_given(member)]
            fast = [member.id in self.plan.fast_definitions for member in made]
            if any(fast) and not all(fast):
                odd = made[fast.index(False)]
                pinned = made[fast.index(True)].name
                yield self.violation("alias group disagrees", odd, odd.time, f"in HBM, but {pinned} is not")
            else:
                yield from self._joints(members, any(fast))
            stays = [(stay, member) for member in members for stay in self._joined_stays(member, members)]
            for stay, member in stays:
                if stay.offset != stays[0][0].offset:
                    detail = f"{stay.offset}, but {stays[0][0].offset} for {stays[0][1].name}"
                    yield self.violation("alias offsets differ", member, stay.start, detail)

    def _is_given(self, tensor: Tensor) -> bool:
        """Whether a tensor is in HBM before the program runs: a prefetch of it joins the rest of its group."""
        home = self.problem.computations[self.problem.instructions[tensor.time].computation]
        opcode = self.problem.instructions[tensor.time].opcode
        return opcode == "constant" or (opcode == "parameter" and home.caller is None)

    def _joined_stays(self, tensor: Tensor, members: list[Tensor]) -> list[Stay]:
        """The stays of a tensor that another tensor of its group goes on with, or comes from."""
        stays = self.stays.get(tensor.id, [])
        if not self._is_given(tensor):
            return stays
        return [stay for stay in stays if any(stay.start <= member.time <= stay.end for member in members)]

    def _joints(self, members: list[Tensor], fast: bool) -> Iterator[Violation]:
        defined = {member.time for member in members if not self._is_given(member)}
        for member in members:
            for number, use in enumerate(member.uses):
                carries = use.time in self.problem.children or self._is_inner_root(use.time)
                joint = use.time in defined or (carries and not self._is_given(member))
                if joint and ((member.id, number) in self.plan.fast_uses) != fast:
                    place = "HBM" if fast else "fast memory"
                    yield self.violation("alias group disagrees", member, use.time, f"this use is in {place}")

    def _is_inner_root(self, time: int) -> bool:
        computation = self.problem.computations[self.problem.instructions[time].computation]
        return time == computation.end and computation.caller is not None

    def tensor(self, tensor: Tensor) -> Iterator[Violation]:
        """Everything about one tensor that is ever in fast memory."""
        stays, copies = self.stays.get(tensor.id, []), self.copies.get(tensor.id, [])
        prefetches = [copy for copy in copies if copy.kind == "prefetch"]
        evictions = [copy for copy in copies if copy.kind == "eviction"]
        if tensor.fixed is not None:
            yield self.violation("fixed in HBM", tensor, tensor.time, tensor.fixed)
        for copy in copies:
            yield from self._copy(tensor, copy)
        produced = tensor.id in self.plan.fast_definitions
        if produced:
            yield from self._produced(tensor, stays, evictions)
        starts = {copy.after + 1 for copy in prefetches}
        for stay in stays:
            if stay.start not in starts and not (produced and tensor.live[0] <= stay.start <= tensor.time):
                yield self.violation("stay without reason", tensor, stay.start)
        for copy in prefetches:
            if not any(stay.start == copy.after + 1 and stay.end >= copy.before for stay in stays):
                yield self.violation("copy without stay", tensor, copy.after)
            if produced and not any(eviction.before <= copy.after + 1 for eviction in evictions):
                yield self.violation("prefetch without data in HBM", tensor, copy.after)
        for copy in evictions:
            if not any(stay.start <= copy.after and stay.end >= copy.before - 1 for stay in stays):
                yield self.violation("eviction without stay", tensor, copy.after)
        for number, use in enumerate(tensor.uses):
            if (tensor.id, number) in self.plan.fast_uses:
                yield from self._fast_use(tensor, use, stays, prefetches)
            elif produced and not any(self.arrival(eviction) <= use.time for eviction in evictions):
                yield self.violation("use in HBM without copy there", tensor, use.time)

    def _copy(self, tensor: Tensor, copy: Copy) -> Iterator[Violation]:
        instructions = self.problem.instructions
        if copy.after < tensor.time:
            yield self.violation("copy starts before definition", tensor, copy.after)
        if copy.before <= copy.after:
            yield self.violation("copy waited for before its start", tensor, copy.before)
        home = instructions[copy.before].computation
        if instructions[copy.after].computation != home or not self._encloses(
            instructions[tensor.time].computation, home
        ):
            yield self.violation("copy crosses computation", tensor, copy.after, f"waited for at {copy.before}")

    def _encloses(self, outer: int, inner: int) -> bool:
        """Whether a computation is another one or runs as a part of what it calls."""
        while inner != outer:
            caller = self.problem.computations[inner].caller
            if caller is None:
                return False
            inner = self.problem.instructions[caller].computation
        return True

    def _produced(self, tensor: Tensor, stays: list[Stay], evictions: list[Copy]) -> Iterator[Violation]:
        given = self._is_given(tensor)
        group = self.problem.groups[tensor.group].tensors
        evicted = bool(evictions) or any(copy.kind == "eviction" for id in group for copy in self.copies.get(id, ()))
        if tensor.hbm_definition is not None and (given or not evicted):
            yield self.violation("definition must be in HBM", tensor, tensor.time, tensor.hbm_definition)
        stay = next((stay for stay in stays if tensor.live[0] <= stay.start <= tensor.time <= stay.end), None)
        if stay is None:
            yield self.violation("definition without stay", tensor, tensor.time)
        elif not evictions and stay.end < tensor.live[1]:
            detail = f"until {stay.end}, needed until {tensor.live[1]}"
            yield self.violation("stay ends before live range", tensor, stay.end, detail)

    def _fast_use(self, tensor: Tensor, use: Use, stays: list[Stay], prefetches: list[Copy]) -> Iterator[Violation]:
        stay = next((stay for stay in stays if stay.start <= use.time <= stay.end), None)
        if stay is None:
            yield self.violation("use without stay", tensor, use.time)
            return
        arrivals = [self.arrival(copy) for copy in prefetches if copy.after + 1 == stay.start]
        if arrivals and min(arrivals) > use.time:
            yield self.violation("copy after use", tensor, use.time, f"waited for at {min(arrivals)}")
