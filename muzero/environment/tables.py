"""What the environment looks up about one problem: arrays that never change, padded to a size class.

Made from ``mallocgame.game.program.Program``, whose words are used here. A *copy* is a copyable serving or an eviction;
an *owner* is an alias group. Times that are no answer are chosen so that comparing with them is false.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log2, sqrt
from typing import Any, NamedTuple

import numpy as np

from mallocgame.game.program import Program, Serving
from mallocgame.game.program import Site as Question
from mallocgame.game.timeline import Timeline
from mallocgame.problem.placement import starts_in_hbm
from mallocgame.problem.reserved import fixed_reservations
from mallocgame.system.errors import BadInputError
from muzero.environment.arrays import Array
from muzero.environment.sizes import SIZE_CLASSES, SPANS, SizeClass

NEVER = -1
"""No such site, copy, time."""

RESERVED = -2
"""Owner of what instructions reserve for themselves; alias groups have numbers from 0."""

FIRST_DEFINITION, LATER_DEFINITION, SERVING, OTHER_USE = range(4)
"""Kinds of sites: the first definition of a group that can be pinned, a later one, the first use of a copyable serving,
and any other use."""

UNKNOWN, IN_HBM, FAST = -1, 0, 1
"""What a known plan has at a site: there is no such plan, HBM, fast memory."""

FARTHEST = 2**30
"""A time after all others."""

STEP_ROWS = 12
COMPUTE, TRAFFIC, FREE, TRIPS, BRANCH, LEAF, COMPUTATION, PREVIOUS, NEXT, CALLEE, ELDER, OUTWARD = range(STEP_ROWS)
"""Rows of ``Tables.steps``: seconds of computing, 0 at a free instruction; bytes accessed, 0 likewise; 1 if it takes
0 s whatever it reads (as padding does). Of the last instruction of a computation that another calls: how often that
runs, 1 if it is a branch, of which only the slowest counts, and 1 for being such an instruction. Number of the
instruction's computation; time before and time after it in that computation, or ``NEVER``; number of the last
computation that the instruction calls, or ``NEVER``; of such a last instruction the number of the callee before, or
``NEVER``. Where it goes on to the entry: from a callee's instruction to the last one, from there to the last one of the
next callee of the same caller, or else to the caller; from the entry's ``FARTHEST``."""


class Site(NamedTuple):
    """What is known of one site; int32, one each (in ``Tables.sites`` one column each).

    Attributes:
        kind: of the above.
        time: of the instruction.
        owner: the tensor's group.
        tensor: its id.
        pin_site: the group's first site if it can be pinned, else ``NEVER``.
        serving_site: of a use: the site that answers for its serving, or ``NEVER``.
        previous_site: the site that answers for the serving before, or ``NEVER``.
        same_computation: 1 if the serving before ends in the same computation.
        number: of the serving in its tensor.
        size: bytes of the tensor.
        fit: bytes that a gap has to have.
        start: first time of what is reserved; of a copy it is found.
        end: last time; of a serving the time that waits for the copy.
        latest: of a serving, the last time after whose instruction a copy may start.
        earliest: of a serving, ``Serving.earliest``.
        copy: of a serving, its copy.
        eviction: the copy that goes with answering COPY or NO_COPY, or ``NEVER``.
        slot: time that reads the tensor, or the size class's ``times`` + time that writes it.
        first_change: first row of ``Tables.change_*`` that belongs to the site.
        changes: how many.
        first_carried: first row of ``Tables.carried``.
        carried: how many.
        place_after: of a serving, the time after whose instruction a known plan starts its copy, or ``NEVER``.
        place_low: its offset, or that of the group that a known plan has pinned, or ``NEVER``.
        span_starts: the intervals that a search for a gap covers, beside that of the copy itself; ``SPANS`` columns.
        span_ends: their ends; an interval that is none has ``FARTHEST`` and ``NEVER``.
    """

    kind: Any
    time: Any
    owner: Any
    tensor: Any
    pin_site: Any
    serving_site: Any
    previous_site: Any
    same_computation: Any
    number: Any
    size: Any
    fit: Any
    start: Any
    end: Any
    latest: Any
    earliest: Any
    copy: Any
    eviction: Any
    slot: Any
    first_change: Any
    changes: Any
    first_carried: Any
    carried: Any
    place_after: Any
    place_low: Any
    span_starts: Any
    span_ends: Any


class Tables(NamedTuple):
    """All of one problem. Bytes are int32 where they are addresses or sizes and float64 where they are traffic.

    Attributes:
        site_count: int32[], number of sites.
        fast_bytes: int32[], bytes of fast memory.
        alignment: int32[], bytes.
        hbm_bandwidth: float64[], bytes/second.
        fast_read_bandwidth: float64[], bytes/second.
        fast_write_bandwidth: float64[], bytes/second.
        length: int32[], number of times.
        all_hbm: float64[], seconds of the program with everything in HBM.
        entry: int32[], number of the entry computation.
        steps: float64[12, times], what the timeline needs of each instruction, see ``COMPUTE`` and the others.
        computation: int32[times], ``NEVER`` at padding.
        runs: float64[times], how often the instruction runs in one run of the program.
        sites: int32[sites, columns of ``Site``].
        site_bytes: float64[sites], bytes read or written at the site.
        site_facts: float32[sites, 4], for the observation: square roots of the share of ``all_hbm`` that the HBM time
            of the serving (of the definition's group) has, and of the group's; log2(1 + its tensors) / 8, and uses / 8.
        change_slot: int32[changes], like ``Site.slot``.
        change_bytes: float64[changes], bytes that become fast.
        change_stays: bool[changes], only if the serving is answered NO_COPY.
        carried: int32[carried, 3], start, end, bytes of what a serving brings into fast memory with it.
        copy_before: int32[copies], time that waits.
        copy_after: int32[copies], time of the start, of an eviction; else ``NEVER``.
        copy_computation: int32[copies], of both; ``NEVER`` at padding.
        copy_rank: int32[copies], order in a queue of those that start at the same time.
        copy_demand: float64[copies], seconds of the whole HBM bandwidth.
        copy_evicts: bool[copies], is an eviction.
        reserved: int32[rows, 4], first byte, byte after the last one (rounded up to the alignment), first and last time
            of what instructions reserve for themselves, by ascending offset; as many rows as there can be stays.
        reserved_count: int32[], rows of it that count.
        computations: bool[computations], nothing but the number of computations that there is place for.
        kept_owner: int32[relations], group of the tensor whose use may have to be kept in HBM; ``NEVER`` at padding.
        kept_number: int32[relations], its serving that begins with that use.
        kept_first: bool[relations], it is the first use of a produced tensor.
        kept_output: int32[relations], the tensor that is then in HBM too.
        kept_output_owner: int32[relations], its group.
        known: int8[sites], for the observation: what a plan that is known has at each site, see ``UNKNOWN``.
    """

    site_count: Array
    fast_bytes: Array
    alignment: Array
    hbm_bandwidth: Array
    fast_read_bandwidth: Array
    fast_write_bandwidth: Array
    length: Array
    all_hbm: Array
    entry: Array
    steps: Array
    computation: Array
    runs: Array
    sites: Array
    site_bytes: Array
    site_facts: Array
    change_slot: Array
    change_bytes: Array
    change_stays: Array
    carried: Array
    copy_before: Array
    copy_after: Array
    copy_computation: Array
    copy_rank: Array
    copy_demand: Array
    copy_evicts: Array
    reserved: Array
    reserved_count: Array
    computations: Array
    kept_owner: Array
    kept_number: Array
    kept_first: Array
    kept_output: Array
    kept_output_owner: Array
    known: Array


_SCALARS = len(Site._fields) - 2


def site_at(tables: Tables, at: Array) -> Site:
    """The site with this number; the last row where there is none."""
    return site_of(tables.sites[at])


def site_of(row: Array) -> Site:
    """The site of a row of ``Tables.sites``."""
    scalars = [row[column] for column in range(_SCALARS)]
    return Site._make([*scalars, row[_SCALARS : _SCALARS + SPANS], row[_SCALARS + SPANS :]])


def size_class_of(program: Program) -> SizeClass:
    """The smallest class that holds a program.

    Raises:
        BadInputError: none does, or fast memory is too large for 32-bit addresses.
    """
    needed = _Writer(program).needed()
    for size in SIZE_CLASSES:
        if all(need <= place for need, place in zip(needed, size, strict=True)):
            return size
    largest = ", ".join(
        f"{need:,} {name}"
        for name, need in zip(SizeClass._fields, needed, strict=True)
        if all(need > getattr(size, name) for size in SIZE_CLASSES)
    )
    raise BadInputError(f"the program is too large for the agent: it has {largest or 'too much of everything'}")


def tables_of(program: Program, size: SizeClass) -> Tables:
    """The tables of a program, as numpy arrays padded to a size class.

    Raises:
        BadInputError: the class does not hold it, or fast memory is too large for 32-bit addresses.
    """
    writer = _Writer(program)
    for name, need, place in zip(SizeClass._fields, writer.needed(), size, strict=True):
        if need > place:
            raise BadInputError(f"the program has {need:,} {name}, the size class holds {place:,}")
    return writer.tables(size)


def spans_of(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The fewest closed intervals of times that cover the same times."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


class _Writer:
    """Lists of everything in ``Tables``, not yet padded."""

    def __init__(self, program: Program) -> None:
        problem = program.problem
        target = problem.target
        if target.fast_bytes + target.alignment > 2**31:
            raise BadInputError(
                f"fast memory of {target.fast_bytes:,} bytes is too large for the agent: its addresses have 31 bits"
            )
        self.program, self.problem = program, problem
        self.all_hbm = Timeline(program).total
        self.runs = [float(runs) for runs in problem.runs]
        self.changes: list[tuple[int, bool, float, bool]] = []
        self.carried: list[tuple[int, int, int]] = []
        self.copies: list[tuple[int, int, int, int, float, bool]] = []
        self.eviction_copy: dict[int, int] = {}
        self.site_of = {(site.tensor, site.use): number for number, site in enumerate(program.sites)}
        self.pinnable = [
            program.pinnable[group] or program.evictions[group] is not None for group in range(len(problem.groups))
        ]
        for group in range(len(problem.groups)):
            eviction = program.eviction_of(group)
            if eviction is not None:
                self.eviction_copy[eviction.tensor] = self._copy(eviction.tensor, eviction.after, eviction.before, True)
        self.reserved = sorted(
            (one.offset, -(-(one.offset + one.size) // target.alignment) * target.alignment, one.start, one.end)
            for one in fixed_reservations(problem)
        )
        self.rows = len(self.reserved)
        self.sites = [self._site(number, site) for number, site in enumerate(program.sites)]
        self.relations = list(self._relations())

    def needed(self) -> SizeClass:
        """The class that would just hold the program."""
        problem = self.problem
        return SizeClass(
            uses=sum(len(tensor.uses) for tensor in problem.tensors),
            times=len(problem.instructions),
            sites=len(self.sites),
            rows=self.rows,
            copies=len(self.copies),
            changes=len(self.changes),
            carried=len(self.carried),
            relations=len(self.relations),
            computations=len(problem.computations),
        )

    def tables(self, size: SizeClass) -> Tables:
        """Padded arrays."""
        problem, program, target = self.problem, self.program, self.problem.target
        instructions = problem.instructions
        sites = [
            [*site[:_SCALARS], *site.span_starts, *site.span_ends]
            for site in (self._with_slot(site, size) for site in self.sites)
        ]
        columns: dict[str, Any] = {
            "site_count": np.int32(len(sites)),
            "fast_bytes": np.int32(target.fast_bytes),
            "alignment": np.int32(target.alignment),
            "hbm_bandwidth": np.float64(target.hbm_bandwidth),
            "fast_read_bandwidth": np.float64(target.fast_read_bandwidth),
            "fast_write_bandwidth": np.float64(target.fast_write_bandwidth),
            "length": np.int32(len(instructions)),
            "all_hbm": np.float64(self.all_hbm),
            "entry": np.int32(program.entry),
            "steps": self._steps(size.times),
            "computation": _padded([i.computation for i in instructions], size.times, NEVER, np.int32),
            "runs": _padded([self.runs[i.computation] for i in instructions], size.times, 0.0, float),
            "sites": _rows(sites, size.sites, _SCALARS + 2 * SPANS),
            "site_bytes": _padded([self._bytes(site) for site in program.sites], size.sites, 0.0, float),
            "site_facts": _rows(self._facts(), size.sites, 4, np.float32),
            "change_slot": _padded(
                [time + size.times * writes for time, writes, *_ in self.changes], size.changes, 0, np.int32
            ),
            "change_bytes": _padded([change[2] for change in self.changes], size.changes, 0.0, float),
            "change_stays": _padded([change[3] for change in self.changes], size.changes, False, bool),
            "carried": _rows(self.carried, size.carried, 3),
            "copy_before": _padded([copy[2] for copy in self.copies], size.copies, NEVER, np.int32),
            "copy_after": _padded([copy[1] for copy in self.copies], size.copies, NEVER, np.int32),
            "copy_computation": _padded([copy[3] for copy in self.copies], size.copies, NEVER, np.int32),
            "copy_rank": _padded(self._ranks(), size.copies, 0, np.int32),
            "copy_demand": _padded([copy[4] for copy in self.copies], size.copies, 0.0, float),
            "copy_evicts": _padded([copy[5] for copy in self.copies], size.copies, False, bool),
            "reserved": _rows(self.reserved, size.rows, 4),
            "reserved_count": np.int32(len(self.reserved)),
            "computations": np.zeros(size.computations, bool),
            "kept_owner": _padded([relation[0] for relation in self.relations], size.relations, NEVER, np.int32),
            "kept_number": _padded([relation[1] for relation in self.relations], size.relations, NEVER, np.int32),
            "kept_first": _padded([relation[2] for relation in self.relations], size.relations, False, bool),
            "kept_output": _padded([relation[3] for relation in self.relations], size.relations, NEVER, np.int32),
            "kept_output_owner": _padded([relation[4] for relation in self.relations], size.relations, NEVER, np.int32),
            "known": np.full(size.sites, UNKNOWN, np.int8),
        }
        return Tables(**columns)

    def _steps(self, length: int) -> Any:
        """``Tables.steps``."""
        problem, program = self.problem, self.program
        array = np.zeros((STEP_ROWS, length))
        array[FREE] = 1.0
        array[PREVIOUS:] = NEVER
        array[COMPUTATION] = self.program.entry
        array[OUTWARD] = FARTHEST
        for time, instruction in enumerate(problem.instructions):
            array[FREE, time] = instruction.free
            if not instruction.free:
                array[COMPUTE, time], array[TRAFFIC, time] = instruction.least_seconds, instruction.total_bytes
            array[COMPUTATION, time] = instruction.computation
        for number, times in enumerate(program.times):
            array[PREVIOUS, times[1:]] = times[:-1]
            array[NEXT, times[:-1]] = times[1:]
            if number != program.entry:
                array[OUTWARD, times] = times[-1]
        for caller, children in problem.children.items():
            callees = sorted(children, key=lambda number: problem.computations[number].end)
            ends = [problem.computations[number].end for number in callees]
            array[CALLEE, caller] = callees[-1]
            array[LEAF, ends] = 1.0
            array[OUTWARD, ends] = [*ends[1:], caller]
            array[ELDER, ends] = [NEVER, *callees[:-1]]
            array[TRIPS, ends] = [problem.computations[number].trips for number in callees]
            array[BRANCH, ends] = [problem.computations[number].kind == "branch" for number in callees]
        return array

    def _with_slot(self, site: Site, size: SizeClass) -> Site:
        written = site.kind in (FIRST_DEFINITION, LATER_DEFINITION)
        return site._replace(slot=site.time + size.times * written)

    def _facts(self) -> list[tuple[float, float, float, float]]:
        """``Tables.site_facts``."""
        problem, found = self.problem, []
        groups = [
            sum(self._traffic(id) for id in group.tensors) / (problem.target.hbm_bandwidth * (self.all_hbm or 1.0))
            for group in problem.groups
        ]
        for site in self.program.sites:
            group = problem.groups[problem.tensors[site.tensor].group]
            share = groups[problem.tensors[site.tensor].group]
            index = self.program.serving_at(site.tensor, site.use)
            own = share
            if index is not None:
                serving = self.program.servings[site.tensor][index]
                uses = problem.tensors[site.tensor].uses[serving.first : serving.last + 1]
                served = sum(use.accessed_bytes * self._runs_at(use.time) for use in uses)
                own = served / (problem.target.hbm_bandwidth * (self.all_hbm or 1.0))
            members = sum(len(problem.tensors[id].uses) for id in group.tensors)
            found.append((sqrt(own), sqrt(share), log2(1 + len(group.tensors)) / 8, log2(1 + members) / 8))
        return found

    def _traffic(self, id: int) -> float:
        """Bytes that a run of the program writes and reads of a tensor."""
        tensor = self.problem.tensors[id]
        read = sum(use.accessed_bytes * self._runs_at(use.time) for use in tensor.uses)
        return read + tensor.defined_bytes * self._runs_at(tensor.time)

    def _runs_at(self, time: int) -> float:
        return self.runs[self.program.computation[time]]

    def _bytes(self, site: Question) -> float:
        tensor = self.problem.tensors[site.tensor]
        return tensor.defined_bytes if site.use < 0 else tensor.uses[site.use].accessed_bytes

    def _ranks(self) -> list[int]:
        order = sorted(range(len(self.copies)), key=lambda copy: (self.copies[copy][0], self.copies[copy][2]))
        ranks = [0] * len(order)
        for rank, copy in enumerate(order):
            ranks[copy] = rank
        return ranks

    def _copy(self, tensor: int, after: int, before: int, evicts: bool) -> int:
        """Number of a new copy."""
        problem = self.problem
        demand = problem.tensors[tensor].size / problem.target.hbm_bandwidth
        self.copies.append((tensor, after, before, self.program.computation[before], demand, evicts))
        return len(self.copies) - 1

    def _site(self, number: int, question: Question) -> Site:
        problem, program = self.problem, self.program
        tensor = problem.tensors[question.tensor]
        group = tensor.group
        site = Site(
            kind=OTHER_USE,
            time=question.time,
            owner=group,
            tensor=tensor.id,
            pin_site=program.first_site[group] if self.pinnable[group] else NEVER,
            serving_site=NEVER,
            previous_site=NEVER,
            same_computation=0,
            number=0,
            size=tensor.size,
            fit=tensor.size,
            start=0,
            end=NEVER,
            latest=NEVER,
            earliest=FARTHEST,
            copy=NEVER,
            eviction=NEVER,
            slot=0,
            first_change=len(self.changes),
            changes=0,
            first_carried=len(self.carried),
            carried=0,
            place_after=NEVER,
            place_low=NEVER,
            span_starts=[FARTHEST] * SPANS,
            span_ends=[NEVER] * SPANS,
        )
        if question.use < 0:
            return self._definition(site, number)
        index = program.serving_at(tensor.id, question.use)
        if index is None:
            return site
        serving = program.servings[tensor.id][index]
        if serving.earliest is None:
            return site
        site = site._replace(serving_site=self.site_of[tensor.id, serving.first])
        return self._serving(site, index, serving) if question.use == serving.first else site

    def _definition(self, site: Site, number: int) -> Site:
        program, group = self.program, self.problem.groups[site.owner]
        start, end = program.lasting(site.tensor)
        self.rows += 1
        site = site._replace(
            kind=LATER_DEFINITION,
            start=start,
            end=end,
            eviction=self.eviction_copy.get(site.tensor, NEVER),
        )
        if program.first_site[site.owner] != number:
            return site
        spans = self._spans(program.lasting(id) for id in group.tensors)
        return site._replace(kind=FIRST_DEFINITION, fit=group.size, span_starts=spans[0], span_ends=spans[1])

    def _serving(self, site: Site, index: int, serving: Serving) -> Site:
        problem, program = self.problem, self.program
        tensor = problem.tensors[site.tensor]
        computation = program.computation[serving.before]
        assert serving.earliest is not None
        before = program.servings[tensor.id][index - 1] if index else None
        copyable = before is not None and before.earliest is not None
        self.rows += 1
        carried = program.carried(tensor.id, index)
        self._changes_of(tensor.id, serving, before if copyable else None)
        for id in carried:
            self.rows += 1
            self.carried.append((*program.lasting(id), problem.tensors[id].size))
            self._written(id)
        spans = self._spans((program.lasting(id) for id in carried), SPANS - 1)
        return site._replace(
            kind=SERVING,
            previous_site=self.site_of[tensor.id, before.first] if before is not None and copyable else NEVER,
            same_computation=int(before is not None and program.computation[before.before] == computation),
            number=index,
            fit=problem.groups[tensor.group].size if carried else tensor.size,
            end=serving.before,
            latest=program.times[computation][program.latest[serving.before]],
            earliest=serving.earliest,
            copy=self._copy(tensor.id, NEVER, serving.before, False),
            eviction=next((self.eviction_copy[id] for id in carried if id in self.eviction_copy), NEVER),
            changes=len(self.changes) - site.first_change,
            carried=len(carried),
            span_starts=spans[0],
            span_ends=spans[1],
        )

    def _changes_of(self, tensor: int, serving: Serving, before: Serving | None) -> None:
        """Traffic that becomes fast with a serving, but that of its first use."""
        uses = self.problem.tensors[tensor].uses
        skipped = range(before.last + 1, serving.first) if before is not None else ()
        for number in (*skipped, *range(serving.first + 1, serving.last + 1)):
            use = uses[number]
            if use.accessed_bytes:
                self.changes.append((use.time, False, use.accessed_bytes, number < serving.first))

    def _written(self, tensor: int) -> None:
        value = self.problem.tensors[tensor]
        if value.defined_bytes:
            self.changes.append((value.time, True, value.defined_bytes, False))
        for number in self.program.read_fast(tensor):
            use = value.uses[number]
            if use.accessed_bytes:
                self.changes.append((use.time, False, use.accessed_bytes, False))

    @staticmethod
    def _spans(intervals: Iterable[tuple[int, int]], most: int = SPANS) -> tuple[list[int], list[int]]:
        spans = spans_of(intervals)
        if len(spans) > most:
            raise BadInputError(f"the agent cannot play a program whose alias group lives in {len(spans)} pieces")
        spans = [*spans, *[(FARTHEST, NEVER)] * (SPANS - len(spans))]
        return [start for start, _ in spans], [end for _, end in spans]

    def _relations(self) -> Iterable[tuple[int, int, bool, int, int]]:
        problem, program = self.problem, self.program
        movable = {
            id
            for number, group in enumerate(problem.groups)
            for id in group.tensors
            if self.pinnable[number] or program.tails[number] is not None or program.servings[id]
        }
        for tensor in problem.tensors:
            produced = not starts_in_hbm(problem, tensor)
            for index, serving in enumerate(program.servings[tensor.id]):
                use = tensor.uses[serving.first]
                indices = {index for _, index in use.operands}
                for id in program.definitions_at[use.time]:
                    output = problem.tensors[id]
                    if id in movable and output.index in indices and output.size == tensor.size:
                        yield tensor.group, index, produced and index == 0, id, output.group


def _padded(values: Sequence[Any], length: int, filler: Any, kind: Any) -> Any:
    array = np.full(length, filler, kind)
    array[: len(values)] = values
    return array


def _rows(values: Sequence[Sequence[float]], length: int, columns: int, kind: Any = np.int32) -> Any:
    array = np.full((length, columns), NEVER, kind)
    if values:
        array[: len(values)] = values
    return array
