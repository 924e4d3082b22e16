"""Runs a schedule of events: instructions, and the starts and waits of asynchronous copies."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum

from mallocgame.plan import CopyKind
from mallocgame.replay.queues import Queues
from mallocgame.replay.records import Model, Replay, Row


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
    """One run of a computation: seconds, callees included; HBM time that nothing took; its rows; which callees ran."""

    seconds: float
    idle: float
    rows: tuple[Row, ...]
    calls: tuple[Call, ...]


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
        outcomes[name] = _run(events, outcomes)
    runs = dict.fromkeys(computations, 0)
    runs[entry] = 1
    for name in reversed(list(computations)):
        for call in outcomes[name].calls:
            runs[call.computation] += runs[name] * call.trips
    rows = tuple(replace(row, runs=runs[name]) for name in computations for row in outcomes[name].rows)
    stall = fsum(row.runs * row.stall for row in rows)
    total = fsum(row.runs * row.seconds for row in rows) + stall
    return Replay(model, total, stall, peak_fast, rows)


def _run(events: Sequence[Event], outcomes: Mapping[str, _Outcome]) -> _Outcome:
    queues = Queues()
    rows: list[Row] = []
    calls: list[Call] = []
    spent: list[float] = []
    idle_left: list[float] = []
    stall = 0.0
    for event in events:
        if isinstance(event, Start):
            queues.start(event.key, event.kind, event.demand)
        elif isinstance(event, Wait):
            stall += queues.wait(event.key)
        else:
            called = _slowest(event.calls, outcomes)
            rows.append(replace(event.row, stall=stall))
            calls.extend(called)
            spent += [event.row.seconds, stall]
            spent += [call.trips * outcomes[call.computation].seconds for call in called]
            idle = event.row.seconds - event.row.hbm_seconds
            idle += fsum(call.trips * outcomes[call.computation].idle for call in called)
            idle_left.append(queues.drain(max(0.0, idle)))
            stall = 0.0
    stall += queues.wait_all()
    if rows and stall:
        rows[-1] = replace(rows[-1], stall=rows[-1].stall + stall)
        spent.append(stall)
    return _Outcome(fsum(spent), fsum(idle_left), tuple(rows), tuple(calls))


def _slowest(calls: tuple[Call, ...], outcomes: Mapping[str, _Outcome]) -> tuple[Call, ...]:
    """``calls`` without the branches that are not the slowest; the first of equally slow ones stays."""
    branches = [call for call in calls if call.branch]
    if not branches:
        return calls
    slowest = max(branches, key=lambda call: outcomes[call.computation].seconds)
    return tuple(call for call in calls if not call.branch or call is slowest)
