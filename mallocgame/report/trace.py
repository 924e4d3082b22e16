"""Both timelines in Chrome's trace event format (JSON object form), which Perfetto and chrome://tracing open.

One process for each placement and model, with threads for the instructions, the waits, and the two queues of copies (of
loops and other callees their own, for a copy of the caller may be under way meanwhile), and counters for the HBM
bandwidth in use. Times are microseconds, to the nanosecond; ``args`` have seconds in full. A loop shows the first run
of its body in full and the others as one slice; a conditional shows its slowest branch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mallocgame.models.replay import Flight, Model, Replay, Row
from mallocgame.problem.schema import Problem
from mallocgame.report.comparison import MODELS, Comparison, Side
from mallocgame.report.timeline import picoseconds
from mallocgame.report.trace_events import Event, counter, process_named, slice_of, thread_named, to_json

_INSTRUCTIONS, _WAITS, _PREFETCHES, _EVICTIONS = 1, 2, 3, 4
_THREADS = {
    _INSTRUCTIONS: "instructions",
    _WAITS: "waiting for copies",
    _PREFETCHES: "prefetch queue",
    _EVICTIONS: "eviction queue",
}
_BANDWIDTH = "HBM bandwidth in use (%)"


def to_trace(comparison: Comparison) -> str:
    """The trace as JSON text."""
    events: list[Event] = []
    process = 0
    for model in MODELS:
        for side in (comparison.before, comparison.after):
            process += 1
            events += _process(comparison.problem, side, model, process)
    problem = comparison.problem
    about = {
        "module": problem.module,
        "target": problem.target.name,
        "fingerprint": problem.fingerprint,
        "confirmed": comparison.confirmed,
    }
    return to_json(events, about)


def _process(problem: Problem, side: Side, model: Model, number: int) -> Iterator[Event]:
    yield from process_named(number, f"{side.name}, model {model}")
    queues = [(thread, depth) for depth in set(_depths(problem).values()) for thread in (_PREFETCHES, _EVICTIONS)]
    threads = {thread + 2 * depth: _copies_of(thread, depth) for thread, depth in queues}
    for thread, name in sorted((_THREADS | threads).items()):
        yield from thread_named(number, thread, name)
    yield from _Writer(problem, side, model, number).events()


class _Writer:
    """Lays a replay's computations out in real time, in whole picoseconds, so that what is inside stays inside."""

    def __init__(self, problem: Problem, side: Side, model: Model, process: int) -> None:
        self._side, self._process = side, process
        replay: Replay = side.replays[model]
        self._rows: dict[str, list[Row]] = {}
        for row in replay.rows:
            self._rows.setdefault(row.computation, []).append(row)
        self._flights: dict[str, list[Flight]] = {}
        for flight in replay.flights:
            self._flights.setdefault(flight.computation, []).append(flight)
        self._entry = next(computation.name for computation in problem.computations if computation.caller is None)
        self._called: Mapping[str, list[tuple[str, int]]] = _calls(problem, self._rows)
        self._lengths: dict[str, int] = {}
        self._depths = _depths(problem)

    def events(self) -> Iterator[Event]:
        """Everything, beginning with the entry at 0."""
        yield from self._computation(self._entry, 0)
        yield self._counter(self._length(self._entry), 0.0)

    def _length(self, name: str) -> int:
        """Of one run of a computation, callees included."""
        if name not in self._lengths:
            self._lengths[name] = sum(
                picoseconds(row.stall) + picoseconds(row.seconds) + self._inside(row)
                for row in self._rows.get(name, ())
            )
        return self._lengths[name]

    def _inside(self, row: Row) -> int:
        """Of what an instruction calls."""
        return sum(trips * self._length(callee) for callee, trips in self._called.get(row.name, ()))

    def _computation(self, name: str, start: int) -> Iterator[Event]:
        now = start
        for row in self._rows.get(name, ()):
            stall, own, inside = picoseconds(row.stall), picoseconds(row.seconds), self._inside(row)
            if stall:
                yield self._slice(_WAITS, f"before {row.name}", now, now + stall, {"seconds": row.stall})
                yield self._counter(now, 1.0)
                now += stall
            if own or inside:
                about = {"opcode": row.opcode, "computation": row.computation, "runs": row.runs, "seconds": row.seconds}
                yield self._slice(_INSTRUCTIONS, row.name, now, now + own + inside, about)
            if own:
                yield self._counter(now, min(1.0, (row.hbm_seconds + row.copy_seconds) / row.seconds))
            yield from self._callees(row, now)
            now += own + inside
        for flight in self._flights.get(name, ()):
            yield self._copy(flight, start)

    def _callees(self, row: Row, start: int) -> Iterator[Event]:
        for callee, trips in self._called.get(row.name, ()):
            length = self._length(callee)
            yield from self._computation(callee, start)
            if trips > 1 and length:
                name = f"{callee}: runs 2 to {trips}"
                yield self._slice(_INSTRUCTIONS, name, start + length, start + trips * length, {})
            start += trips * length

    def _copy(self, flight: Flight, start: int) -> Event:
        moved = self._side.copies.get(flight.key)
        about: dict[str, Any] = {"started": _us(start + picoseconds(flight.issued))}
        if flight.waited is not None:
            about["waited for"] = _us(start + picoseconds(flight.waited))
        if moved is not None:
            about["bytes"] = moved.size
        kind = _PREFETCHES if flight.kind == "prefetch" else _EVICTIONS
        name = moved.name if moved is not None else str(flight.key)
        begun, arrived = start + picoseconds(flight.begun), start + picoseconds(flight.arrived)
        depth = self._depths[flight.computation]
        return self._slice(kind, name, begun, max(begun, arrived), about, kind + 2 * depth)

    def _slice(
        self, kind: int, name: str, start: int, end: int, about: dict[str, Any], thread: int | None = None
    ) -> Event:
        return slice_of(self._process, thread or kind, _THREADS[kind], name, (_us(start), _us(end)), about)

    def _counter(self, at: int, share: float) -> Event:
        return counter(self._process, _BANDWIDTH, _us(at), {"used": round(100 * share, 3)})


def _calls(problem: Problem, rows: Mapping[str, list[Row]]) -> dict[str, list[tuple[str, int]]]:
    """For each calling instruction the (computation, trips) that it runs; of branches the one that runs."""
    found: dict[str, list[tuple[str, int]]] = {}
    for computation in sorted(problem.computations, key=lambda computation: computation.start):
        inside = rows.get(computation.name, ())
        if computation.caller is not None and any(row.runs for row in inside):
            caller = problem.instructions[computation.caller].name
            found.setdefault(caller, []).append((computation.name, computation.trips))
    return found


def _copies_of(thread: int, depth: int) -> str:
    """Name of the thread of copies of computations that are called through so many others."""
    return f"{_THREADS[thread]}, {depth} calls deep" if depth else _THREADS[thread]


def _depths(problem: Problem) -> dict[str, int]:
    """Through how many calls each computation is called."""
    found: dict[int, int] = {}
    for number in sorted(range(len(problem.computations)), key=lambda it: -problem.computations[it].end):
        caller = problem.computations[number].caller
        found[number] = 0 if caller is None else found[problem.instructions[caller].computation] + 1
    return {problem.computations[number].name: depth for number, depth in found.items()}


def _us(picoseconds: int) -> float:
    """Microseconds to the nanosecond, which is what Perfetto keeps."""
    return (picoseconds + 500) // 1000 / 1000
