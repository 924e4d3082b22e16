"""Optima that are perfect tilings of fast memory, address x time.

Construction: fast memory x steps is cut into rectangles (``tiling``). Each becomes the whole stay of one alias group:
a value produced at the rectangle's first step and last used at its last, in some of them updated in place or carried
round a while loop on the way; or an entry parameter, whose prefetch starts just before the first step and is waited
for at the first use. The HBM time that each step leaves idle is then set so that every prefetch has arrived in time:
in the order of their starts, each prefetch is given its demand in one step between its start and its wait, not before
the step of the prefetch before.

Proof: under M an instruction's time falls with each byte of its operands and outputs that is in fast memory (fast
memory is faster than HBM), and stalls are not negative. So no plan is faster than all operands and outputs in fast
memory, without stalls (the first half of the relaxed bound). The plan reaches that: each definition that may be in
fast memory and each use that moves bytes is there, since every rectangle is; and no copy stalls: the queue is first in
first out and never idle while it could copy, so that each copy arrives no later than in the schedule that the idle
time was made from. A prefetch inside a loop body meets the same idle time in each round, with an empty queue.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace

from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.problem.schema import Computation, Problem
from workloads.generator import known_recipe as known
from workloads.generator.draft import Draft
from workloads.generator.tiling import Piece, Span, tile

COPIED: dict[known.Kind, float] = {"copies": 0.6, "loops": 0.3}
"""Chance that a rectangle is a prefetched parameter, by kind."""

CARRIED = 0.5
"""Chance that a produced value that is there before and after a loop is carried round it."""

CHAINED = 0.3
"""Chance that a produced value is updated in place on the way."""


@dataclass(eq=False)
class _Track:
    """One rectangle's alias group.

    Attributes:
        copied: an entry parameter that is prefetched; else it is produced.
        reads: steps that read it, the last one of the rectangle among them.
        updates: steps that update it in place; they read it too.
        carried: loops that carry it round.
        value: the draft's current value of the group.
        first_use: time of the first instruction that the prefetch serves.
        start: time after whose instruction the prefetch starts.
    """

    piece: Piece
    copied: bool
    reads: set[int]
    updates: set[int]
    carried: set[Span]
    value: int = -1
    first_use: int = -1
    start: int = -1
    values: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        return (self.piece.high - self.piece.low) * known.UNIT

    def reads_in(self, loop: Span) -> bool:
        """Whether the loop's body reads it without carrying it."""
        return loop not in self.carried and any(loop[0] <= step <= loop[1] for step in self.reads)


def build(rng: random.Random, recipe: known.KnownRecipe, name: str) -> tuple[Problem, Plan]:
    """A problem and its best plan; the kind says whether there are copies and loops."""
    steps = max(recipe.steps, 4)
    loops = _loops(rng, steps) if recipe.kind == "loops" else ()
    units = rng.randint(2, max(2, recipe.tensors))
    share = COPIED.get(recipe.kind, 0.0)
    pieces = tile(rng, steps, units, loops, recipe.tensors)
    tracks = [_track(rng, piece, loops, rng.random() < share) for piece in pieces]
    writer = _Writer(rng, steps, loops, tracks)
    problem = writer.write(name, units)
    return problem, writer.plan(problem)


def _loops(rng: random.Random, steps: int) -> tuple[Span, ...]:
    found = []
    first = rng.randint(2, 3)
    while first + 4 <= steps:
        last = min(first + rng.randint(1, 5), steps - 3)
        found.append((first, last))
        first = last + rng.randint(3, 8)
    return tuple(found)


def _track(rng: random.Random, piece: Piece, loops: tuple[Span, ...], copied: bool) -> _Track:
    around = [loop for loop in loops if piece.first < loop[0] and loop[1] < piece.last]
    carried = {loop for loop in around if not copied and rng.random() < CARRIED}
    later = range(piece.first + 1, piece.last + 1)
    reads = {piece.last, *rng.sample(later, rng.randint(0, min(3, len(later))))}
    updates = set()
    if not copied and rng.random() < CHAINED:
        passed = [loop for loop in around if loop not in carried]
        free = [step for step in later if not any(first <= step <= last for first, last in passed)]
        updates = set(rng.sample(free, min(len(free), rng.randint(1, 2)))) - {piece.last}
    return _Track(piece, copied, reads, updates, carried)


class _Writer(Draft):
    def __init__(self, rng: random.Random, steps: int, loops: tuple[Span, ...], tracks: list[_Track]) -> None:
        super().__init__()
        self.rng, self.steps, self.loops = rng, steps, loops
        self.tracks = sorted(tracks, key=lambda track: (track.piece.first, track.piece.low))
        self.times: list[int] = []
        self.idle = self._idle()

    def write(self, name: str, units: int) -> Problem:
        """Emit everything, then price it."""
        entry = self.reserve_computation()
        for track in self.tracks:
            if track.copied:
                time = self.emit(entry, "parameter", free=True)
                self._make(track, self.define(time, track.size, 0.0, hbm="entry parameter"))
        if not self.instructions:
            self.emit(entry, "parameter", free=True)
        step = 0
        while step < self.steps:
            loop = next((loop for loop in self.loops if loop[0] == step), None)
            if loop is None:
                self._step(step, entry, None)
            else:
                self._loop(loop, entry)
            step = step + 1 if loop is None else loop[1] + 1
        root = self.emit(entry, "tuple", free=True)
        self.computations[entry] = Computation("entry", 0, root, "entry", None, 1)
        self._price()
        return self.problem(name, known.target(units))

    def plan(self, problem: Problem) -> Plan:
        """Every rectangle as a stay."""
        definitions: set[int] = set()
        uses: set[tuple[int, int]] = set()
        stays: list[Stay] = []
        copies: list[Copy] = []
        for track in self.tracks:
            offset = track.piece.low * known.UNIT
            for tensor in (problem.tensors[id] for id in track.values):
                served = list(range(len(tensor.uses)))
                if track.copied:
                    last = self.times[track.piece.last]
                    served = [number for number in served if tensor.uses[number].time <= last]
                    copies.append(Copy(tensor.id, "prefetch", track.start, track.first_use))
                    stays.append(Stay(tensor.id, track.start + 1, last, offset))
                else:
                    definitions.add(tensor.id)
                    stays.append(Stay(tensor.id, *tensor.live, offset))
                uses.update((tensor.id, number) for number in served)
        copies.sort(key=lambda copy: (copy.after, copy.tensor))
        return Plan(problem.fingerprint, frozenset(definitions), frozenset(uses), tuple(sorted(stays)), tuple(copies))

    def _make(self, track: _Track, value: int) -> None:
        if track.values:
            self.alias(track.values[0], value)
        track.value = value
        track.values.append(value)

    def _step(self, step: int, computation: int, parameter: int | None) -> None:
        """One leaf; ``parameter`` is the time of the loop body's, if it is in one."""
        time = self.emit(computation, "fusion")
        self.times.append(time)
        produced = [track for track in self.tracks if track.piece.first == step and not track.copied]
        updated = [track for track in self.tracks if step in track.updates]
        read = [track for track in self.tracks if step in track.reads | track.updates]
        for operand, track in enumerate(read):
            value = self.values[track.value]
            after = value.time if self.is_in(track.value, computation) else parameter
            factor = 0.25 if track in updated else self.rng.choice([0.5, 1.0, 1.0, 2.0])
            self.use(track.value, time, operand, factor * value.size, after)
            if track.copied and track.first_use < 0:
                track.first_use = time
        several = len(produced) + len(updated) > 1
        for number, track in enumerate([*produced, *updated]):
            written = track.size / 4 if track in updated else track.size
            self._make(track, self.define(time, track.size, written, (number,) if several else ()))
        for track in self.tracks:
            if track.copied and track.piece.first == step:
                track.start = time - 1

    def _loop(self, loop: Span, entry: int) -> None:
        carried = [track for track in self.tracks if loop in track.carried]
        passed = [track for track in self.tracks if track.reads_in(loop) and track.piece.first < loop[0]]
        inside = [track for track in self.tracks if track.copied and loop[0] <= track.piece.first <= loop[1]]
        outer = [track.value for track in carried]
        condition, body = self.reserve_computation(), self.reserve_computation()
        first = self._parameters(condition, carried)
        end = self.emit(condition, "fusion")
        for track, value in zip(carried, outer, strict=True):
            track.value = value
        parameter = self._parameters(body, carried)
        for step in range(loop[0], loop[1] + 1):
            self._step(step, body, parameter)
        root = self.emit(body, "tuple", free=True)
        caller = self.emit(entry, "while", free=True)
        for number, track in enumerate(carried):
            self.use(track.value, root, number, 0.0, None)
            self.use(outer[number], caller, number, 0.0, None)
            self._make(track, self.define(caller, track.size, 0.0, (number,)))
        for number, track in enumerate([*passed, *inside], len(carried)):
            self.use(track.value, root, number, 0.0, None)
            self.use(track.value, caller, number, 0.0, self.values[track.value].time)
            if track.copied and track in passed and track.first_use > first:
                track.first_use = caller
        trips = self.rng.randint(1, 7)
        self.computations[condition] = Computation(f"c{condition}", first, end, "condition", caller, trips)
        self.computations[body] = Computation(f"c{body}", parameter, root, "body", caller, trips)

    def _parameters(self, computation: int, carried: list[_Track]) -> int:
        time = self.emit(computation, "parameter", free=True)
        for number, track in enumerate(carried):
            self._make(track, self.define(time, track.size, 0.0, (number,)))
        return time

    def _idle(self) -> Counter[int]:
        """Bytes that each step has to leave time for: the demands of the copies, each in one step."""
        found: Counter[int] = Counter()
        for span in (None, *self.loops):
            inside = [step for step in range(self.steps) if self._home(step) == span]
            tracks = [track for track in self.tracks if track.copied and self._home(track.piece.first) == span]
            latest = [max(step for step in inside if step < self._due(track, span)) for track in tracks]
            reached = 0
            for number, track in enumerate(tracks):
                reached = max(reached, track.piece.first)
                reached = self.rng.choice([step for step in inside if reached <= step <= min(latest[number:])])
                found[reached] += track.size
        return found

    def _home(self, step: int) -> Span | None:
        return next((loop for loop in self.loops if loop[0] <= step <= loop[1]), None)

    def _due(self, track: _Track, span: Span | None) -> int:
        """The step before which a prefetch has to have arrived: a loop's first one, where that needs it."""
        first = min(track.reads)
        home = self._home(first)
        return first if home is None or home == span else home[0]

    def _price(self) -> None:
        """Costs of the leaves; the time that copies need is left idle, apart from the instruction's own bytes."""
        moved = [0.0] * len(self.instructions)
        fast = [0.0] * len(self.instructions)
        for value in self.values:
            moved[value.time] += value.defined_bytes
            fast[value.time] += value.defined_bytes / known.WRITE_FACTOR
            for time, (_, accessed, _) in value.uses.items():
                moved[time] += accessed
                fast[time] += accessed / known.READ_FACTOR
        copied = {self.times[step]: size for step, size in self.idle.items()}
        for time, instruction in enumerate(self.instructions):
            if instruction.free:
                continue
            own = self.rng.choice([0, 0, 256, 1024])
            least = own + max(fast[time], copied.get(time, 0))
            compute = least if time in copied else least * self.rng.choice([0.0, 0.5, 1.0])
            self.instructions[time] = replace(
                instruction, compute_seconds=compute / known.HBM_BANDWIDTH, total_bytes=moved[time] + own
            )
