"""Runs a schedule of events: instructions, and the starts and waits of asynchronous copies."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum

from mallocgame.models.replay.queues import Queues
from mallocgame.models.replay.records import Flight, Model, Replay, Row
from mallocgame.plan.plan import CopyKind


@dataclass(frozen=True, slots=True)
class Call:
    """A computation that an instruction runs ``trips`` times; of several branches only the slowest one runs."""

    computation: str
    trips: int
    branch: bool


@dataclass(frozen=True, slots=True)
class Run:
    """An instruction runs; ``row`` has all but runs and stall."""

    row: Row
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """A copy joins its queue; ``demand`` in seconds of the HBM bandwidth."""

    key: Hashable
    kind: CopyKind
    demand: float


@dataclass(frozen=True, slots=True)
class Wait:
    """The computation waits for a copy; the wait counts as the stall of the next instruction."""

    key: Hashable


Event = Run | Start | Wait


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One run of a computation: seconds with callees; HBM time that nothing took; rows, callees that ran, copies."""

    seconds: float
    idle: float
    rows: tuple[Row, ...]
    calls: tuple[Call, ...]
    flights: tuple[Flight, ...]


@dataclass
class _Clock:
    """The run's own time, beside the queues' clock of bandwidth: it is spread evenly over what lasts.

    Attributes:
        now: seconds since the run began.
        ends: the queues' clock at the end of each stretch that has bandwidth, ascending.
        stretches: of each: its first and last time, and how much bandwidth it has.
        issued: when each copy joined its queue.
        waited: when each copy was first waited for.
    """

    now: float = 0.0
    ends: list[float] = field(default_factory=list)
    stretches: list[tuple[float, float, float]] = field(default_factory=list)
    issued: dict[Hashable, float] = field(default_factory=dict)
    waited: dict[Hashable, float] = field(default_factory=dict)

    def lasts(self, seconds: float, bandwidth: float, clock: float) -> None:
        """Something lasted ``seconds`` with ``bandwidth`` for copies; the queues' clock is now ``clock``."""
        if bandwidth > 0.0:
            self.ends.append(clock)
            self.stretches.append((self.now, self.now + seconds, bandwidth))
        self.now += seconds

    def time(self, clock: float, next_stretch: bool) -> float:
        """When the queues' clock was ``clock``; between two stretches the beginning of the next, or the last end."""
        number = (bisect_right if next_stretch else bisect_left)(self.ends, clock)
        if number == len(self.ends):
            return self.now
        start, end, bandwidth = self.stretches[number]
        left = (self.ends[number] - clock) / bandwidth
        return end - (end - start) * min(1.0, max(0.0, left))


def walk(computations: Mapping[str, Sequence[Event]], entry: str, model: Model, peak_fast: int) -> Replay:
    """Replay a program.

    Every run of a computation begins with empty queues and waits at its end for what is still in flight. An
    instruction leaves the HBM time idle that its own bytes do not need; an instruction that calls computations leaves
    what they leave: of one run, times the trips. Copies take that idle time; during a stall they have the bandwidth.

    Args:
        computations: events by name; callees before their callers.
        entry: name of the entry computation.
        model: for the report.
        peak_fast: for the report.
    """
    outcomes: dict[str, _Outcome] = {}
    for name, events in computations.items():
        outcomes[name] = _run(name, events, outcomes)
    runs = dict.fromkeys(computations, 0)
    runs[entry] = 1
    for name in reversed(list(computations)):
        for call in outcomes[name].calls:
            runs[call.computation] += runs[name] * call.trips
    rows = tuple(replace(row, runs=runs[name]) for name in computations for row in outcomes[name].rows)
    stall = fsum(row.runs * row.stall for row in rows)
    total = fsum(row.runs * row.seconds for row in rows) + stall
    flights = tuple(flight for name in computations for flight in outcomes[name].flights)
    return Replay(model, total, stall, peak_fast, rows, flights=flights)


def _run(name: str, events: Sequence[Event], outcomes: Mapping[str, _Outcome]) -> _Outcome:
    queues, clock = Queues(), _Clock()
    kinds: dict[Hashable, CopyKind] = {}
    rows: list[Row] = []
    calls: list[Call] = []
    spent: list[float] = []
    idle_left: list[float] = []
    stall = 0.0
    for event in events:
        if isinstance(event, Start):
            queues.start(event.key, event.kind, event.demand)
            kinds[event.key] = event.kind
            clock.issued[event.key] = clock.now
        elif isinstance(event, Wait):
            clock.waited.setdefault(event.key, clock.now)
            waited = queues.wait(event.key)
            clock.lasts(waited, waited, queues.clock)
            stall += waited
        else:
            called = _slowest(event.calls, outcomes)
            calls.extend(called)
            lasted = [event.row.seconds, *(call.trips * outcomes[call.computation].seconds for call in called)]
            spent += [stall, *lasted]
            idle = event.row.seconds - event.row.hbm_seconds
            idle += fsum(call.trips * outcomes[call.computation].idle for call in called)
            idle = max(0.0, idle)
            left = queues.drain(idle)
            clock.lasts(fsum(lasted), idle, queues.clock)
            rows.append(replace(event.row, stall=stall, copy_seconds=idle - left))
            idle_left.append(left)
            stall = 0.0
    waited = queues.wait_all()
    clock.lasts(waited, waited, queues.clock)
    stall += waited
    if rows and stall:
        rows[-1] = replace(rows[-1], stall=rows[-1].stall + stall)
        spent.append(stall)
    flights = tuple(
        Flight(
            key=key,
            kind=kinds[key],
            computation=name,
            issued=issued,
            begun=clock.time(queues.begun[key], next_stretch=True),
            arrived=clock.time(queues.arrived[key], next_stretch=False),
            waited=clock.waited.get(key),
        )
        for key, issued in clock.issued.items()
    )
    return _Outcome(fsum(spent), fsum(idle_left), tuple(rows), tuple(calls), flights)


def _slowest(calls: tuple[Call, ...], outcomes: Mapping[str, _Outcome]) -> tuple[Call, ...]:
    """``calls`` without the branches that are not the slowest; the first of equally slow ones stays."""
    branches = [call for call in calls if call.branch]
    if not branches:
        return calls
    slowest = max(branches, key=lambda call: outcomes[call.computation].seconds)
    return tuple(call for call in calls if not call.branch or call is slowest)
