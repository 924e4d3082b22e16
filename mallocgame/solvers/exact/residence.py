"""Where tensors may be, loosely: every plan that can be expressed, and what XLA does beyond.

Each tensor has *sites*: its definition, its uses, and in each computation that encloses a use but not the definition
the instruction that calls towards it. At a site it is resident in fast memory if it was kept since the site before in
the same computation, if a copy was waited for there, or if it stays for the whole run of that computation. No copy is
between a definition and the very next time: XLA makes none, and refuses it. Tensors of an alias group decide apart,
but what one takes over from another, at a joint of a loop or branch or where it updates it in place, is where that was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mallocgame.game.program import Program
from mallocgame.models.replay.final_text import COPIES
from mallocgame.problem.placement import ASYNCHRONOUS, HINTED, is_directly_after, starts_in_hbm
from mallocgame.problem.schema import ShapeIndex, Tensor
from mallocgame.solvers.exact.model import ZERO, Linear, Model, total


@dataclass(frozen=True, slots=True)
class Occupied:
    """Bytes that are taken from ``start`` to ``end`` where ``fast`` is 1."""

    start: int
    end: int
    size: int
    group: int
    fast: Linear


@dataclass(frozen=True, slots=True)
class Moved:
    """A copy that may be: of ``size`` bytes, started after ``earliest``, waited for before ``before`` (positions)."""

    computation: int
    earliest: int
    before: int
    size: int
    made: Linear


@dataclass(frozen=True, slots=True)
class Held:
    """``size`` bytes that an eviction reads from fast memory, from position ``first`` to ``last``, where ``fast``.

    Those of them that have not been drained are there still, apart from what is ``Occupied``.
    """

    computation: int
    first: int
    last: int
    size: int
    fast: Linear


@dataclass
class Residence:
    """Where all tensors may be.

    Attributes:
        defined: per tensor, 1 where its definition writes fast memory.
        resident: (tensor, time) of a site -> 1 where it is in fast memory there.
        occupied: what that takes.
        fetches: prefetches.
        evictions: copies to HBM.
        held: what they read.
        evicted: per tensor that may be made in fast memory, 1 where it is evicted.
        replaced: time of a copy or slice -> 1 where a prefetch of its result takes its place and its time.
    """

    defined: list[Linear] = field(default_factory=list)
    resident: dict[tuple[int, int], Linear] = field(default_factory=dict)
    occupied: list[Occupied] = field(default_factory=list)
    fetches: list[Moved] = field(default_factory=list)
    evictions: list[Moved] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    evicted: dict[int, Linear] = field(default_factory=dict)
    replaced: dict[int, Linear] = field(default_factory=dict)


def residence(model: Model, program: Program) -> Residence:
    """The variables of all tensors, and the rows among them."""
    made = Residence([ZERO] * len(program.problem.tensors))
    movable = [
        tensor
        for tensor in program.problem.tensors
        if tensor.fixed in (None, ASYNCHRONOUS, HINTED) and 0 < tensor.size <= program.problem.target.fast_bytes
    ]
    for tensor in movable:
        _Tensor(model, program, made, tensor).build()
    for tensor in movable:
        _take_over(model, program, made, tensor)
    return made


class _Site(NamedTuple):
    """A use, or a call towards uses: position, and 1 where resident, kept since the site before, waited for there."""

    place: int
    fast: Linear
    kept: Linear
    fetched: Linear


class _Tensor:
    """One tensor's sites."""

    def __init__(self, model: Model, program: Program, made: Residence, tensor: Tensor) -> None:
        self.model, self.program, self.made, self.tensor = model, program, made, tensor
        self.home = program.computation[tensor.time]

    def build(self) -> None:
        model, tensor, made = self.model, self.tensor, self.made
        sites = self._sites()
        opcode = self.program.problem.instructions[tensor.time].opcode
        inner = self.home != self.program.entry and opcode == "parameter"
        given = starts_in_hbm(self.program.problem, tensor) and not inner
        written = tensor.fixed in (None, HINTED) and tensor.hbm_definition in (None, "entry result") and not given
        first = model.choice() if written else ZERO
        made.defined[tensor.id] = first
        self._occupy(tensor.time, tensor.time, first)
        replaceable = written and opcode in COPIES and self._is_moved_as_it_is()
        instead = self._replace(first, sorted(sites.get(self.home, ()))) if replaceable else ZERO
        made.defined[tensor.id] = first + instead
        chains = {
            computation: self._chain(computation, sorted(sites[computation]), first, instead)
            for computation in sorted(sites, key=lambda number: self.program.depth[number])
        }
        if first is not ZERO:
            self._evict(first, chains.get(self.home, []))

    def _sites(self) -> dict[int, set[int]]:
        """Per computation, the times of its instructions that read the tensor or call towards a use."""
        found: dict[int, set[int]] = {}
        single = len(self.program.problem.groups[self.tensor.group].tensors) == 1
        for use in self.tensor.uses:
            instruction = self.program.problem.instructions[use.time]
            if single and instruction.free and not self.program.children[use.time]:
                continue
            time, path = use.time, []
            while self.program.computation[time] != self.home:
                path.append(time)
                caller = self.program.caller[self.program.computation[time]]
                if caller is None:
                    break
                time = caller
            for at in (*path, time):
                found.setdefault(self.program.computation[at], set()).add(at)
        return found

    def _is_moved_as_it_is(self) -> bool:
        """Whether the copy that defines it keeps the layout, as far as the padded size tells; a slice is taken to."""
        problem, time = self.program.problem, self.tensor.time
        sizes = {problem.tensors[id].size for id, _ in problem.uses_at[time]}
        return problem.instructions[time].opcode != "copy" or self.tensor.size in sizes

    def _replace(self, defined: Linear, times: list[int]) -> Linear:
        """1 where a prefetch, waited for at the first site, takes the place of the copy or slice that defines it.

        XLA does that where what is copied is in HBM: it was defined there, or is evicted.
        """
        time, instead = self.tensor.time, self.model.choice()
        self.model.now = time
        self.model.at_least(1.0, defined + instead)
        for id, _ in self.program.uses_at[time]:
            there = total((1.0, self.made.evicted.get(id, ZERO)))
            self.model.at_least(there, self.made.defined[id] + instead)
        read = [self.program.problem.tensors[id] for id, _ in self.program.uses_at[time]]
        made = [tensor.time for tensor in read if self.program.computation[tensor.time] == self.home]
        earliest = self.program.position[max(made)] if made else 0
        before = self.program.position[times[0]] if times else len(self.program.times[self.home])
        self.made.fetches.append(Moved(self.home, earliest, before, self.tensor.size, instead))
        self.made.replaced[time] = instead
        return instead

    def _chain(self, computation: int, times: list[int], defined: Linear, instead: Linear) -> list[_Site]:
        """The sites of one computation."""
        model, made, id = self.model, self.made, self.tensor.id
        throughout, before, earliest = ZERO, -1, 0
        resident_before = ZERO
        if computation == self.home:
            before, resident_before = self.tensor.time, defined
            earliest = self.program.position[self.tensor.time]
        else:
            caller = self.program.caller[computation]
            throughout = made.resident.get((id, caller), ZERO) if caller is not None else ZERO
        chain: list[_Site] = []
        for time in times:
            model.now = time
            begin = min((self.program.problem.computations[c].start for c in self.program.children[time]), default=time)
            kept = fetched = ZERO
            if resident_before is not ZERO:
                kept = model.choice()
                model.at_least(resident_before, kept)
                self._occupy(before + 1, begin - 1, kept)
            if self.program.position[time] > earliest and not is_directly_after(time, self.tensor.time):
                fetched = model.choice()
                place = self.program.position[time]
                made.fetches.append(Moved(computation, earliest, place, self.tensor.size, fetched))
            own = kept + fetched
            if computation == self.home and not chain:
                own += instead
            here = own + throughout
            model.at_least(1.0, here)
            made.resident[id, time] = here
            self._occupy(begin, time, own)
            chain.append(_Site(self.program.position[time], here, kept, fetched))
            before, resident_before = time, own
        return chain

    def _occupy(self, start: int, end: int, fast: Linear) -> None:
        if start <= end and fast.terms:
            self.made.occupied.append(Occupied(start, end, self.tensor.size, self.tensor.group, fast))

    def _evict(self, defined: Linear, sites: Sequence[_Site]) -> None:
        """What is made in fast memory is evicted before it is read, or copied back, from HBM."""
        model, tensor = self.model, self.tensor
        place, before = self.program.position[tensor.time], ZERO
        last = len(self.program.times[self.home])
        for site in sites:
            model.now = self.program.times[self.home][site.place]
            evicted = model.choice()
            model.at_least(evicted, before)
            model.at_least(evicted, defined - site.fast)
            model.at_least(evicted, total((defined, site.fetched, -1.0)))
            self.made.evictions.append(Moved(self.home, place, site.place, tensor.size, evicted - before))
            before = evicted
        if tensor.hbm_definition is not None:
            evicted = model.choice()
            model.at_least(evicted, before)
            model.at_least(evicted, defined)
            self.made.evictions.append(Moved(self.home, place, last, tensor.size, evicted - before))
            before = evicted
        self.made.evicted[tensor.id] = before
        for site in (*sites, _Site(last, ZERO, ZERO, ZERO)):
            model.now = self.program.times[self.home][min(site.place, last - 1)]
            held = before
            if before is not ZERO and site.kept is not ZERO:
                held = model.time(0.0, 1.0)
                model.at_least(held, before - site.kept)
            self.made.held.append(Held(self.home, place + 1, site.place, tensor.size, held))
            place = site.place


def _take_over(model: Model, program: Program, made: Residence, tensor: Tensor) -> None:
    """A tensor that takes over the bytes of others of its group is defined where those are, at each such joint.

    In a final text both have one buffer, so one memory: a copy between them would be an instruction of its own.
    """
    defined = made.defined[tensor.id]
    members = program.problem.groups[tensor.group].tensors
    if not defined.terms or len(members) == 1:
        return
    for time in _joints(program, tensor):
        model.now = time
        sources = [
            (key, source) for member in members if member != tensor.id
            for key, source in _sources(program, made, member, time)
        ]  # fmt: skip
        matching = [source for key, source in sources if key == tensor.index]
        if sources:
            model.at_least(total(matching or (source for _, source in sources)), defined)
        given = matching if time != tensor.time or program.children[time] else [source for _, source in sources]
        if len(given) == 1 and _hands_over(program, tensor, time):
            model.at_least(defined, given[0])


def _hands_over(program: Program, tensor: Tensor, time: int) -> bool:
    """Whether what a joint reads is surely what the tensor takes over: not where a branch may copy it in between."""
    opcode = program.problem.instructions[time].opcode
    return time != tensor.time or opcode == "while" or not program.children[time]


def _joints(program: Program, tensor: Tensor) -> list[int]:
    """Times of the instructions through which a tensor may get the bytes of others."""
    problem = program.problem
    joints = [tensor.time, *(problem.computations[number].end for number in program.children[tensor.time])]
    home = problem.computations[program.computation[tensor.time]]
    if problem.instructions[tensor.time].opcode == "parameter" and home.caller is not None:
        joints.append(home.caller)
        if home.kind == "body":
            joints.append(home.end)
    return joints


def _sources(program: Program, made: Residence, member: int, time: int) -> Iterator[tuple[ShapeIndex, Linear]]:
    """What a member of a group hands over at a joint: tuple index there, and 1 where it is in fast memory."""
    tensor = program.problem.tensors[member]
    if tensor.time == time:
        yield tensor.index, made.defined[member]
    resident = made.resident.get((member, time), ZERO)
    for use in tensor.uses:
        if use.time == time:
            for operand, index in use.operands:
                calls = bool(program.children[time])
                yield (index if calls and index else (operand, *index)), resident
