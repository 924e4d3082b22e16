"""Makes the world of a problem: everything in HBM."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mallocgame.game.occupancy import Occupancy
from mallocgame.game.program import Program
from mallocgame.models.cycles.kinds import look
from mallocgame.plan.reach import Gaps
from mallocgame.problem.evictions import product_wait
from mallocgame.problem.placement import starts_in_hbm
from mallocgame.problem.reserved import fixed_reservations, reserved_bytes
from mallocgame.solvers.annealing import world as w
from mallocgame.solvers.annealing.emitter import emitter_arrays
from mallocgame.solvers.annealing.saving import possible_saving

if TYPE_CHECKING:
    from mallocgame.models.cycles.table import CycleTable

JOURNAL_LENGTH = 64
"""Entries of the journal a slot; a longer list of changes is undone by a whole replay."""


class _Links:
    """Lists, one after the other in one array."""

    def __init__(self) -> None:
        self.items: list[int] = []

    def add(self, items: Iterable[int]) -> tuple[int, int]:
        """Where the list begins and ends."""
        first = len(self.items)
        self.items.extend(items)
        return first, len(self.items)


def make_world(
    program: Program,
    *,
    models: tuple[bool, bool],
    seed: int,
    cycles: CycleTable | None,
    barred: Collection[int],
    evict_products: bool,
    reach: float | None,
) -> w.World:
    """The world of a problem with everything in HBM; nothing is simulated yet.

    Args:
        program: the problem with what the game derives from it.
        models: whether M and E are simulated.
        seed: of all random moves.
        cycles: for model E; None for the cycles of XLA's default placement whatever the placement.
        barred: groups that stay in HBM.
        evict_products: whether what is made in fast memory for its first uses may be evicted.
        reach: of the plan.
    """
    return _Maker(program, barred, evict_products, reach).world(models, seed, cycles)


class _Maker:
    def __init__(self, program: Program, barred: Collection[int], evict_products: bool, reach: float | None) -> None:
        self.program, self.problem, self.barred = program, program.problem, barred
        self.far = self.beyond(reach)
        target = self.problem.target
        self.reserved = Occupancy(target.fast_bytes, target.alignment, fixed_reservations(self.problem))
        self.waits = {
            tensor.id: wait
            for tensor in self.problem.tensors
            if evict_products and self.program.servings[tensor.id]
            if (wait := product_wait(self.problem, tensor)) is not None
        }
        self.order = sorted(range(len(program.times)), key=lambda number: -program.depth[number])
        self.number_of = {computation: number for number, computation in enumerate(self.order)}
        self.time_of = [time for computation in self.order for time in program.times[computation]]
        self.slot_of = [0] * len(self.time_of)
        for slot, time in enumerate(self.time_of):
            self.slot_of[time] = slot
        self.links = _Links()
        self.looks: dict[Hashable, list[int]] = {}
        for time, instruction in enumerate(self.problem.instructions):
            self.looks.setdefault((instruction.free, look(self.problem, time)), []).append(time)
        self.sites = [
            [*program.uses_at[time], *((id, -1) for id in program.definitions_at[time])] for time in self.time_of
        ]
        self.site_of = {site: number for number, site in enumerate(site for at in self.sites for site in at)}
        self.use_of = {
            use: number
            for number, use in enumerate((t.id, use) for t in self.problem.tensors for use in range(len(t.uses)))
        }

    def beyond(self, reach: float | None) -> set[tuple[int, int]]:
        """(tensor, use) of the servings that are beyond the reach of the one before, or of the definition."""
        gaps = Gaps(self.problem)
        far = [gaps.beyond(tensor, reach, since=tensor.time) for tensor in self.problem.tensors]
        servings = enumerate(self.program.servings)
        return {(id, serving.first) for id, found in servings for serving in found if far[id][serving.first]}

    def world(self, models: tuple[bool, bool], seed: int, cycles: CycleTable | None) -> w.World:
        slots, computations, groups = len(self.time_of), len(self.order), len(self.problem.groups)
        emitter = emitter_arrays(self.problem, self.time_of, cycles)
        slot_records = self.slot_records()
        slot_records["seen_first"], slot_records["seen_end"] = emitter.seen_first[:-1], emitter.seen_first[1:]
        slot_records["floor"] = emitter.floor
        sites = self.site_records()
        sites["weight"] = emitter.weight
        seen = np.zeros(len(emitter.seen_mask), w.SEEN)
        seen["mask"], seen["cycles"] = emitter.seen_mask, emitter.seen_cycles
        group_records, spans = self.group_records()
        return w.World(
            slots=slot_records,
            slot_of=np.array(self.slot_of, np.int64),
            used=np.array(reserved_bytes(self.problem), np.int64),
            computations=self.computation_records(),
            sites=sites,
            seen=seen,
            tensors=self.tensor_records(),
            uses=self.use_records(group_records),
            groups=group_records,
            spans=spans,
            servings=self.serving_records(),
            copies=self.copy_records(),
            links=np.array(self.links.items, np.int64),
            dirty=np.zeros(slots, np.int64),
            changed=np.zeros(groups, np.int64),
            residents=np.zeros(groups, np.int64),
            values=np.zeros((2, slots, 6), np.float64),
            sums=np.zeros((2, 2, computations), np.float64),
            journal=np.zeros(JOURNAL_LENGTH * slots, w.CHANGE),
            scalars=self.scalars(models, seed),
            masks=np.zeros(slots, np.int64),
        )

    def slot_records(self) -> w.Records:
        place: dict[int, tuple[int, int, int]] = {}
        for times in self.looks.values():
            first = len(place)
            place |= {time: (number, first, first + len(times)) for number, time in enumerate(times, first)}

        def row(slot: int, time: int, first_site: int) -> tuple[Any, ...]:
            instruction = self.problem.instructions[time]
            children = self.links.add(self.number_of[child] for child in self.program.children[time])
            end = first_site + len(self.sites[slot])
            starts_and_due = -1, -1, -1
            costs = instruction.least_seconds, instruction.total_bytes, instruction.free
            return (
                time,
                self.number_of[instruction.computation],
                *children,
                first_site,
                end,
                *starts_and_due,
                *place[time],
                *costs,
            )

        firsts = np.concatenate([[0], np.cumsum([len(at) for at in self.sites])]).astype(int).tolist()
        rows = (row(slot, time, firsts[slot]) for slot, time in enumerate(self.time_of))
        names = "time computation child_first child_end site_first site_end starts_in starts_out due mask "
        names += "alike_first alike_end compute total_bytes free"
        return _records(w.SLOT, rows, names)

    def computation_records(self) -> w.Records:
        rows, slot = [], 0
        for number in self.order:
            computation = self.problem.computations[number]
            end = slot + len(self.program.times[number])
            caller = -1 if computation.caller is None else self.slot_of[computation.caller]
            rows.append((slot, end, caller, computation.trips, computation.kind == "branch"))
            slot = end
        return _records(w.COMPUTATION, rows, "slot_first slot_end caller trips branch")

    def site_records(self) -> w.Records:
        def bytes_of(id: int, use: int) -> float:
            tensor = self.problem.tensors[id]
            return tensor.defined_bytes if use < 0 else tensor.uses[use].accessed_bytes

        rows = ((slot, bytes_of(id, use), use < 0) for slot, at in enumerate(self.sites) for id, use in at)
        return _records(w.SITE, rows, "slot bytes writes")

    def tensor_records(self) -> w.Records:
        rows: list[tuple[int, ...]] = []
        use = serving = 0
        for tensor in self.problem.tensors:
            uses, servings = use + len(tensor.uses), serving + len(self.program.servings[tensor.id])
            produced = not starts_in_hbm(self.problem, tensor)
            rows.append((self.site_of[tensor.id, -1], use, uses, tensor.group, serving, servings, produced))
            use, serving = uses, servings
        return _records(w.TENSOR, rows, "site use_first use_end group serving_first serving_end produced")

    def use_records(self, groups: w.Records) -> w.Records:
        """The uses; enters them with the groups that they keep in HBM, too."""
        rows, keepers = [], [[] for _ in groups]  # type: tuple[list[tuple[int, ...]], list[list[int]]]
        for (id, use), number in self.use_of.items():
            served = self.program.serving_at(id, use) is not None
            kept = self.kept_groups(id, use) if served else []
            for group in kept:
                keepers[group].append(number)
            rows.append((self.site_of[id, use], id, *self.links.add(kept), served, (id, use) in self.far))
        for group, found in enumerate(keepers):
            groups["keeper_first"][group], groups["keeper_end"][group] = self.links.add(found)
        return _records(w.USE, rows, "site tensor kept_first kept_end served far")

    def kept_groups(self, id: int, number: int) -> list[int]:
        """Groups of the outputs that stay in HBM where the compiler is told to keep this use there."""
        value = self.problem.tensors[id]
        use = value.uses[number]
        indices = {index for _, index in use.operands}
        outputs = [self.problem.tensors[out] for out in self.program.definitions_at[use.time]]
        found = {out.group for out in outputs if out.index in indices and out.size == value.size}
        return sorted(found - {value.group})

    def group_records(self) -> tuple[w.Records, w.Records]:
        rows: list[tuple[float, ...]] = []
        spans: list[tuple[int, int]] = []
        for number, group in enumerate(self.problem.groups):
            members = [self.problem.tensors[id] for id in group.tensors]
            size = max(member.size for member in members)
            first = len(spans)
            eviction = self.program.eviction_of(number)
            spans += _merged([self.program.lasting(id) for id in group.tensors])
            pinned_end = len(spans)
            tail = self.program.tails[number]
            carried = () if tail is None else tail.tensors
            spans += _merged([self.program.lasting(id) for id in carried])
            free = number not in self.barred
            fetched = group.tensors[0] if free and self.is_fetched(group.tensors[0]) else -1
            wait = self.waits.get(group.tensors[0])
            evicted = (-1, -1) if eviction is None else (self.slot_of[eviction.after], self.slot_of[eviction.before])
            waits = (*evicted, -1 if wait is None else self.slot_of[wait])
            tails = (*self.links.add(carried), pinned_end, len(spans))
            places = (*self.links.add(group.tensors), first, pinned_end, *tails, *waits, -1)
            saving = possible_saving(self.program, number)
            pinnable = free and (self.program.pinnable[number] or self.program.evictions[number] is not None)
            pinnable = pinnable and self.reserved.best_fit(spans[first:pinned_end], size, number) is not None
            sizes = self.aligned(size), fetched, self.aligned(members[0].size)
            rows.append((*sizes, *places, saving, pinnable))
        names = "size fetched fetched_size member_first member_end span_first span_end tail_first tail_end "
        names += "tail_span_first tail_span_end evicted_after evicted_before wait place saving pinnable"
        return _records(w.GROUP, rows, names), _records(w.SPAN, spans, "start end")

    def is_fetched(self, id: int) -> bool:
        return any(serving.earliest is not None for serving in self.program.servings[id])

    def aligned(self, size: int) -> int:
        alignment = self.problem.target.alignment
        return -(-size // alignment) * alignment

    def serving_records(self) -> w.Records:
        rows = []
        for id, servings in enumerate(self.program.servings):
            for serving in servings:
                earliest = latest = -1
                if serving.earliest is not None:
                    times = self.program.times[self.program.computation[serving.before]]
                    earliest = self.slot_of[times[self.program.earliest_position(serving.before, serving.earliest)]]
                    latest = self.slot_of[times[self.program.latest[serving.before]]]
                far = (id, serving.first) in self.far
                if id in self.waits and serving is servings[0] and not far:
                    earliest = w.MADE
                uses = self.use_of[id, serving.first], self.use_of[id, serving.last]
                starts = self.slot_of[serving.before], earliest, latest
                rows.append((*uses, *starts, w.UNSERVED, w.UNSERVED, serving.carries, far))
        return _records(w.SERVING, rows, "low high before earliest latest plan plan_old carries far")

    def copy_records(self) -> w.Records:
        bandwidth = self.problem.target.hbm_bandwidth
        rows: list[tuple[float, ...]] = []
        for id, servings in enumerate(self.program.servings):
            demand = self.problem.tensors[id].size / bandwidth
            rows.extend((id, -1, -1, -1, demand, False) for _ in servings)
        for group in range(len(self.problem.groups)):
            eviction = self.program.eviction_of(group)
            member = self.problem.groups[group].tensors[0]
            evicted = eviction.tensor if eviction is not None else member if member in self.waits else -1
            demand = 0.0 if evicted < 0 else self.problem.tensors[evicted].size / bandwidth
            rows.append((evicted, -1, -1, -1, demand, True))
        return _records(w.COPY, rows, "key after next_start next_due demand eviction")

    def scalars(self, models: tuple[bool, bool], seed: int) -> w.Records:
        target = self.problem.target
        rates = target.hbm_bandwidth, target.fast_read_bandwidth, target.fast_write_bandwidth, target.min_seconds
        evictions = sum(map(len, self.program.servings))
        kernels = sum(not self.problem.instructions[times[0]].free for times in self.looks.values())
        row = (target.fast_bytes, seed, evictions, kernels, *rates, *models)
        return _records(
            w.SCALARS, [row], "capacity random evictions kernels hbm_rate read_rate write_rate cycle with_m with_e"
        )


def _records(kind: np.dtype[np.void], rows: Iterable[Sequence[Any]], names: str) -> w.Records:
    """Records with these fields set; all others are 0."""
    found = list(rows)
    records = np.zeros(len(found), kind)
    for name, column in zip(names.split(), zip(*found, strict=True), strict=False):
        records[name] = column
    return records


def _merged(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Closed intervals as disjoint ones, ascending."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
