"""What a final HLO text says about every definition, use and copy of its problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mallocgame.models.replay.final_text import COPIES, FinalText, Transfer, is_concat
from mallocgame.models.replay.occupancy import peak_bytes
from mallocgame.models.replay.plan_replay import stay_intervals
from mallocgame.plan.plan import Copy, CopyKind, Plan, Stay
from mallocgame.problem.schema import Problem, ShapeIndex, Tensor, Use
from xla_dump_parser import hlo
from xla_dump_parser.buffer_assignment import Allocation


@dataclass(frozen=True, slots=True)
class FoundCopy:
    """A copy of a whole tensor as the final text has it; its slices, if any, taken together.

    Attributes:
        tensor: id in the problem; None if it is of a tensor that the problem does not have.
        kind: ``"prefetch"`` or ``"eviction"``.
        after: time of the last instruction of the problem before its (first) start, in its computation.
        before: time of the first instruction of the problem after its (last) wait that takes time or calls others
            (the compiler moves all others about freely); of the computation's last where there is none.
        starts: names of the starting instructions, in order.
        dones: names of the waiting instructions, in order.
        slices: (time as ``after``, bytes) of each start.
        offset: in fast memory, where the buffer assignment was given; else None.
        replaces: id of the tensor that it makes, where the compiler has put it in the place of a synchronous copy;
            else None. The tensor counts as defined where the copy goes.
    """

    tensor: int | None
    kind: CopyKind
    after: int
    before: int
    starts: tuple[str, ...]
    dones: tuple[str, ...]
    slices: tuple[tuple[int, int], ...]
    offset: int | None
    replaces: int | None

    @property
    def size(self) -> int:
        """Bytes that move."""
        return sum(size for _, size in self.slices)


@dataclass(frozen=True)
class ReadBack:
    """The placements of a final text.

    Attributes:
        problem: what was compiled.
        fast_definitions: ids of the tensors that are defined in fast memory.
        fast_uses: (tensor, use index) of the uses that read fast memory, all of their operands.
        copies: in order of their starts in the final text.
        gone: names of the instructions of the problem that the text no longer has: bitcasts and the like, which the
            compiler rebuilds under other names. What a root read is what the new root reads; of any other the
            operands count as being where they are defined.
        offsets: of the definitions in fast memory, where the buffer assignment was given.
    """

    problem: Problem
    fast_definitions: frozenset[int]
    fast_uses: frozenset[tuple[int, int]]
    copies: tuple[FoundCopy, ...]
    gone: tuple[str, ...]
    offsets: Mapping[int, int]

    @property
    def offsets_known(self) -> bool:
        """Whether every definition and prefetch in fast memory has its offset; where not, ``to_plan`` puts 0."""
        prefetches = [copy for copy in self.copies if copy.kind == "prefetch" and copy.tensor is not None]
        return self.fast_definitions <= self.offsets.keys() and all(copy.offset is not None for copy in prefetches)

    def to_plan(self) -> Plan:
        """The placements as a plan; a stay ends with the last use, eviction or live range that needs it.

        Copies that start after one instruction are in the order of the text. Left out are a prefetch that nothing of
        this program reads (the end of a cross-program prefetch), and copies in the place of synchronous ones, which
        are the definitions of what they make.
        """
        last_use = {id: self.problem.tensors[id].uses[number].time for id, number in sorted(self.fast_uses)}
        planned: dict[Copy, FoundCopy] = {}
        for found in sorted(self.copies, key=lambda copy: copy.after):
            id = found.tensor
            if id is None or found.replaces is not None or found.after >= found.before:
                continue
            if found.kind == "eviction" or found.before <= last_use.get(id, -1):
                planned.setdefault(Copy(id, found.kind, found.after, found.before), found)
        by_tensor: dict[int, list[FoundCopy]] = {}
        for copy, found in planned.items():
            by_tensor.setdefault(copy.tensor, []).append(found)
        touched = self.fast_definitions | by_tensor.keys()
        stays = {stay for id in touched for stay in self._stays(self.problem.tensors[id], by_tensor.get(id, []))}
        return Plan(
            fingerprint=self.problem.fingerprint,
            fast_definitions=self.fast_definitions,
            fast_uses=self.fast_uses,
            stays=tuple(sorted(stays)),
            copies=tuple(planned),
        )

    def peak_fast(self) -> int:
        """Most bytes of fast memory occupied at one time.

        Each slice of a copy counts from its own start, until another tensor of its alias group takes the bytes over.
        """
        sliced = {
            (copy.tensor, copy.after + 1): copy.slices
            for copy in self.copies
            if copy.kind == "prefetch" and len(copy.slices) > 1
        }
        stays = self.to_plan().stays
        whole = [stay for stay in stays if (stay.tensor, stay.start) not in sliced]
        intervals = stay_intervals(self.problem, whole)
        tensors = self.problem.tensors
        of_group: dict[int, list[Stay]] = {}
        for stay in stays:
            of_group.setdefault(tensors[stay.tensor].group, []).append(stay)
        for stay in stays:
            others = (other for other in of_group[tensors[stay.tensor].group] if other.tensor != stay.tensor)
            end = min([stay.end, *(other.start - 1 for other in others if stay.start < other.start)])
            for number, (after, size) in enumerate(sliced.get((stay.tensor, stay.start), ())):
                intervals.append(((stay, number), after + 1, end, size))
        return peak_bytes(intervals)

    def _stays(self, tensor: Tensor, copies: list[FoundCopy]) -> Iterable[Stay]:
        """One stay from the definition and from each prefetch, until the next one begins or nothing needs it."""
        fast = [use.time for number, use in enumerate(tensor.uses) if (tensor.id, number) in self.fast_uses]
        evictions = [copy for copy in copies if copy.kind == "eviction"]
        begins = [
            (copy.after + 1, copy.before, copy.before, copy.offset or 0) for copy in copies if copy.kind == "prefetch"
        ]
        if tensor.id in self.fast_definitions:
            end = tensor.time if evictions else tensor.live[1]
            begins.append((tensor.live[0], tensor.time, end, self.offsets.get(tensor.id, 0)))
        begins.sort()
        for number, (start, ready, end, offset) in enumerate(begins):
            limit = begins[number + 1][1] if number + 1 < len(begins) else len(self.problem.instructions)
            needed = [time for time in fast if ready <= time < limit]
            needed += [copy.before - 1 for copy in evictions if start <= copy.after < limit]
            yield Stay(tensor.id, start, max([end, *needed]), offset)


def read_back(problem: Problem, final: hlo.HloModule, allocations: Iterable[Allocation] | None = None) -> ReadBack:
    """Where the compiler put everything.

    Args:
        problem: what was compiled.
        final: the final scheduled text.
        allocations: of the buffer-assignment dump, for the offsets.

    Raises:
        BadInputError: the text is not scheduled, does not hold together, or is of another program.
    """
    return placements(FinalText(problem, final), allocations)


def placements(text: FinalText, allocations: Iterable[Allocation] | None = None) -> ReadBack:
    """``read_back`` of a text that has been looked at already."""
    problem = text.problem
    offsets = _offsets(text, allocations or ())
    copies = tuple(_copies(text, offsets))
    fast = {
        tensor.id: offsets.get((tensor.instruction, tensor.index))
        for tensor in problem.tensors
        if text.is_fast(tensor.instruction, tensor.index)
    }
    fast.update(
        (copy.replaces, copy.offset) for copy in copies if copy.replaces is not None and copy.kind == "prefetch"
    )
    return ReadBack(
        problem=problem,
        fast_definitions=frozenset(fast),
        fast_uses=frozenset(
            (tensor.id, number)
            for tensor in problem.tensors
            for number, use in enumerate(tensor.uses)
            if _reads_fast(text, tensor, use)
        ),
        copies=copies,
        gone=tuple(step.name for step in problem.instructions if text.step(step.name) is None),
        offsets={id: offset for id, offset in fast.items() if offset is not None},
    )


def _offsets(text: FinalText, allocations: Iterable[Allocation]) -> dict[tuple[str, ShapeIndex], int]:
    return {
        (value.instruction, value.index): value.offset
        for allocation in allocations
        for value in allocation.values
        if value.memory_space == text.fast
    }


def _reads_fast(text: FinalText, tensor: Tensor, use: Use) -> bool:
    """Whether a use reads fast memory with all of its operands."""
    reader = text.problem.instructions[use.time]
    step = text.step(reader.name)
    if step is not None:
        return text.reads_fast(step, use.operands) == 1.0
    computation = text.problem.computations[reader.computation]
    body = text.module.computations.get(computation.name)
    if use.time != computation.end or body is None:
        return text.is_fast(tensor.instruction, tensor.index)
    if body.root.opcode == reader.opcode:
        return text.reads_fast(body.root, use.operands) == 1.0
    return text.is_fast(body.root.name, ())


def _copies(text: FinalText, offsets: Mapping[tuple[str, ShapeIndex], int]) -> Iterable[FoundCopy]:
    """Transfers, those of one ConcatBitcast taken together."""
    joined: dict[str, str] = {}
    for step in text.schedule.steps:
        if is_concat(step):
            joined.update(dict.fromkeys(step.operands, step.name))
    parts: dict[str, list[Transfer]] = {}
    for transfer in text.transfers:
        whole = joined.get(transfer.done or "", transfer.start)
        parts.setdefault(whole, []).append(transfer)
    earlier, later = _neighbours(text)
    replaced = _replaced(text)
    for whole, transfers in parts.items():
        first = transfers[0]
        waits = [transfer.done_time for transfer in transfers if transfer.done_time is not None]
        last = text.problem.computations[_computation(text, first)].end
        yield FoundCopy(
            tensor=text.tensor_at(first.operand, ()),
            kind=first.kind,
            after=earlier[first.start_time],
            before=later[max(waits)] if waits else last,
            starts=tuple(transfer.start for transfer in transfers),
            dones=tuple(transfer.done for transfer in transfers if transfer.done is not None),
            slices=tuple((earlier[transfer.start_time], transfer.size) for transfer in transfers),
            offset=offsets.get((whole, ()), offsets.get((whole, (0,)))),
            replaces=replaced.get(whole, replaced.get(first.done)),
        )


def _replaced(text: FinalText) -> dict[str | None, int]:
    """For each waiting or joining instruction that gives what a synchronous copy gave, the tensor that it makes."""
    found: dict[str | None, int] = {}
    for tensor in text.problem.tensors:
        opcode = text.problem.instructions[tensor.time].opcode
        if opcode not in COPIES or text.step(tensor.instruction) is not None:
            continue
        for use in tensor.uses:
            reader = text.step(text.problem.instructions[use.time].name)
            for operand, index in use.operands:
                if reader is not None and operand < len(reader.operands):
                    found[text.origin(reader.operands[operand], index)] = tensor.id
    found.pop(None, None)
    return found


def _computation(text: FinalText, transfer: Transfer) -> int:
    """Index of the transfer's computation in the problem; the entry's if the problem does not have it."""
    name = text.schedule.computations[transfer.computation].name
    names = [computation.name for computation in text.problem.computations]
    return names.index(name) if name in names else 0


def _neighbours(text: FinalText) -> tuple[list[int], list[int]]:
    """For each time of the final schedule, the problem's times of the instructions around it in its computation.

    The compiler moves some get-tuple-elements up, to what they are of: one that stands before an earlier instruction
    of the problem does not count.

    Returns:
        (the last one before it, the first one after it that takes time or calls); the computation's first and last
        time where there is none.
    """
    schedule, problem = text.schedule, text.problem
    spans = {computation.name: (computation.start, computation.end) for computation in problem.computations}
    owners = [spans.get(text.computation_name(time), (0, 0)) for time in range(len(schedule.steps))]
    known = [text.times.get(step.name) for step in schedule.steps]
    earlier, later = [start for start, _ in owners], [end for _, end in owners]
    following: dict[int, int] = {}
    for time, at in reversed(list(enumerate(known))):
        computation = schedule.computation_of[time]
        later[time] = following.get(computation, later[time])
        if at is not None and (not problem.instructions[at].free or at in problem.children):
            following[computation] = at
    last: dict[int, int] = {}
    for time, at in enumerate(known):
        computation = schedule.computation_of[time]
        earlier[time] = last.get(computation, earlier[time])
        moved = schedule.steps[time].opcode == "get-tuple-element" and (at or 0) > later[time]
        if at is not None and not moved:
            last[computation] = at
    return earlier, later
