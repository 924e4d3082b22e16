"""The problem of game.md as plain, immutable data.

Everything that decides or checks something (game, solvers, validator, replay, export) reads these types alone.
Times are indices into the flattened schedule (``Problem.instructions``): the order of XLA's HloLiveRange, in which a
callee comes before its caller, and a while loop is its condition, then its body, then the while instruction itself.
Intervals of times are closed: ``(3, 5)`` means 3, 4 and 5. Sizes are padded bytes, durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

ShapeIndex = tuple[int, ...]
"""Path into a tuple shape; ``()`` for an array."""


def position_name(instruction: str, index: ShapeIndex) -> str:
    """``instruction`` or ``instruction{i,j}``."""
    return instruction + ("{" + ",".join(map(str, index)) + "}" if index else "")


@dataclass(frozen=True, slots=True)
class Target:
    """The memories of one core of an accelerator, as the compiler models them.

    Attributes:
        name: the topology family, e.g. ``"v5e"``.
        fast_space: the number n of the fast memory's S(n): 1 for VMEM, 3 for CMEM.
        fast_bytes: bytes of fast memory that the plan may use (MSA's heap).
        alignment: every offset in fast memory is a multiple of this many bytes.
        hbm_bandwidth: bytes/second between HBM and the core; asynchronous copies share it.
        fast_read_bandwidth: bytes/second when an instruction reads an operand from fast memory.
        fast_write_bandwidth: bytes/second when an instruction writes its output to fast memory.
        min_seconds: the least time of any instruction with a cost; 1 / clock.
        hbm_bytes: the device's HBM capacity in bytes.
    """

    name: str
    fast_space: int
    fast_bytes: int
    alignment: int
    hbm_bandwidth: float
    fast_read_bandwidth: float
    fast_write_bandwidth: float
    min_seconds: float
    hbm_bytes: int


@dataclass(frozen=True, slots=True)
class Computation:
    """A scheduled computation (entry, while body or condition, branch, callee); fused computations are not in here.

    Attributes:
        name: as in the HLO text.
        start: time of its first instruction.
        end: time of its last instruction. Callees' times lie inside their caller's.
        kind: what calls it: ``"entry"``, ``"body"``, ``"condition"``, ``"branch"`` or ``"call"``.
        caller: time of the instruction that calls it; None for the entry.
        trips: how often it runs for each run of its caller: a while's trip count (5 if unknown), else 1.
    """

    name: str
    start: int
    end: int
    kind: str
    caller: int | None
    trips: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of the flattened schedule, at the time that is its index.

    Attributes:
        name: as in the HLO text, without ``%``.
        opcode: HLO opcode.
        computation: index into ``Problem.computations``.
        compute_seconds: MSA's compute(i): seconds at peak rate, memory not counted.
        total_bytes: bytes accessed, operands and outputs together.
        free: True where the replay counts 0 s whatever the formula says: parameters, tuples, get-tuple-elements,
            bitcasts, asynchronous starts and dones, and instructions that only call computations (while,
            conditional, call: their time is their callees').
        cycles: the emitter's ``estimated_cycles`` for XLA's default placement, where known; for model E.
        link_seconds: least seconds by the links between chips, of a collective (``mallocgame.problem.links``); the
            compiler knows nothing of them. Such an instruction has no cycles: E is M.
    """

    name: str
    opcode: str
    computation: int
    compute_seconds: float
    total_bytes: float
    free: bool
    cycles: int | None = None
    link_seconds: float = 0.0

    @property
    def least_seconds(self) -> float:
        """What the instruction takes wherever its operands and results are."""
        return max(self.compute_seconds, self.link_seconds)


@dataclass(frozen=True, slots=True)
class Use:
    """One instruction's reading of a tensor (all its operands that are this tensor).

    Attributes:
        time: the reading instruction.
        operands: (operand number, tuple index) of each reading operand, in order.
        accessed_bytes: bytes that the instruction reads through them; 0 where it only passes the tensor on.
        copy_after: earliest time after whose instruction a prefetch for this use may start, or None if no prefetch
            for this use can be expressed. It is in the use's computation: the definition, the parameter through which
            a loop's body or a branch gets the tensor, or the use before if that is a while's or conditional's. For a
            while or conditional, the prefetch serves all uses in what it calls.
    """

    time: int
    operands: tuple[tuple[int, ShapeIndex], ...]
    accessed_bytes: float
    copy_after: int | None


@dataclass(frozen=True, slots=True)
class Tensor:
    """An HLO value of array shape.

    Attributes:
        id: index into ``Problem.tensors``.
        instruction: name of the instruction that defines it.
        index: tuple index of its defining position.
        size: padded bytes.
        time: time of its definition.
        live: (first, last) time at which its buffer must exist.
        defined_bytes: bytes that the defining instruction writes for it.
        uses: in program order.
        group: index into ``Problem.groups``.
        fixed: why it may never be in fast memory at all, or None.
        hbm_definition: why its definition has to be in HBM (entry parameter, constant, entry result, written by two
            cores, never read, read by its loop's condition), or None. Its uses may still be served by prefetches.
    """

    id: int
    instruction: str
    index: ShapeIndex
    size: int
    time: int
    live: tuple[int, int]
    defined_bytes: float
    uses: tuple[Use, ...]
    group: int
    fixed: str | None = None
    hbm_definition: str | None = None

    @property
    def name(self) -> str:
        """``instruction`` or ``instruction{i,j}``."""
        return position_name(self.instruction, self.index)


@dataclass(frozen=True, slots=True)
class Group:
    """Tensors that alias (one HloBuffer): in fast memory all of them, at one offset, or none.

    Attributes:
        tensors: ids, in order of definition.
        size: bytes of the largest.
    """

    tensors: tuple[int, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """Bytes of fast memory that instructions take for themselves while they run: a Pallas kernel's scoped memory.

    No tensor may be there then, not even one that the instruction itself reads or writes.

    Attributes:
        start: first time, inclusive.
        end: last time, inclusive.
        offset: bytes from the start of fast memory.
        size: bytes.
    """

    start: int
    end: int
    offset: int
    size: int


@dataclass(frozen=True)
class Problem:
    """A scheduled program and its costs on one target.

    Attributes:
        fingerprint: hex digest of the schedule before MSA: names, shapes, operands, order. A plan carries it.
        module: name of the HLO module.
        costs: where the costs come from: ``"log"`` or ``"analytic"``.
        reserved: what instructions take of fast memory, in order of time, no two at one time. Empty for most programs:
            where every instruction may take the same, the target's ``fast_bytes`` are already without that.
        kernels: by time, where the costs of kernels and collectives come from instead
            (``mallocgame.problem.costs.kernels.Source``).
        loops: by time, the while loops whose trip count the program does not tell: ``"assumed"``, or ``"user"`` where
            the user did.
    """

    fingerprint: str
    module: str
    target: Target
    computations: tuple[Computation, ...]
    instructions: tuple[Instruction, ...]
    tensors: tuple[Tensor, ...]
    groups: tuple[Group, ...]
    costs: str
    notes: tuple[str, ...] = field(default=())
    reserved: tuple[Reservation, ...] = ()
    kernels: tuple[tuple[int, str], ...] = field(default=())
    loops: tuple[tuple[int, str], ...] = ()

    @cached_property
    def uncounted(self) -> tuple[int, ...]:
        """Times of the kernels and collectives of which nothing is known: they take what the log says."""
        return tuple(time for time, source in self.kernels if source == "none")

    @cached_property
    def runs(self) -> tuple[int, ...]:
        """How often each computation runs in one run of the program: the product of the trips that enclose it."""
        found = [0] * len(self.computations)
        for number in sorted(range(len(found)), key=lambda it: -self.computations[it].end):  # callers come first
            computation = self.computations[number]
            caller = computation.caller
            outer = 1 if caller is None else found[self.instructions[caller].computation]
            found[number] = outer * computation.trips
        return tuple(found)

    @cached_property
    def uses_at(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each time, the (tensor id, index into its uses) read there, in operand order."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.instructions]
        for tensor in self.tensors:
            for number, use in enumerate(tensor.uses):
                found[use.time].append((tensor.id, number))
        for at in found:
            at.sort(key=lambda site: self.tensors[site[0]].uses[site[1]].operands)
        return tuple(map(tuple, found))

    @cached_property
    def definitions_at(self) -> tuple[tuple[int, ...], ...]:
        """For each time, the ids of the tensors defined there, in order of tuple index."""
        found: list[list[int]] = [[] for _ in self.instructions]
        for tensor in self.tensors:
            found[tensor.time].append(tensor.id)
        for at in found:
            at.sort(key=lambda id: self.tensors[id].index)
        return tuple(map(tuple, found))

    @cached_property
    def children(self) -> dict[int, tuple[int, ...]]:
        """Calling time -> indices of the computations that the instruction there calls, in schedule order."""
        found: dict[int, list[int]] = {}
        for number, computation in enumerate(self.computations):
            if computation.caller is not None:
                found.setdefault(computation.caller, []).append(number)
        for numbers in found.values():
            numbers.sort(key=lambda number: self.computations[number].start)
        return {time: tuple(numbers) for time, numbers in found.items()}
