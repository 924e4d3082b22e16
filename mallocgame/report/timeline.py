"""A replay laid out over the instructions of its problem."""

from __future__ import annotations

from dataclasses import dataclass

from mallocgame.models.replay import Replay, Row
from mallocgame.problem.schema import Problem

PICOSECONDS = 1e12


def picoseconds(seconds: float) -> int:
    """The nearest whole number of them."""
    return round(seconds * PICOSECONDS)


@dataclass(frozen=True)
class Timeline:
    """Seconds of each instruction of a problem, all its runs together; lists are by time.

    Attributes:
        runs: how often it runs.
        seconds: without waiting.
        stall: waiting for copies just before it.
        hbm: HBM time of its own bytes.
        copies: HBM time that copies take while it lasts; during ``stall`` they take all of it.
        elsewhere: seconds of what is in no computation of the problem; part of the replay's total.
    """

    runs: list[int]
    seconds: list[float]
    stall: list[float]
    hbm: list[float]
    copies: list[float]
    elsewhere: float


def lay_out(problem: Problem, replay: Replay) -> Timeline:
    """Lay out a replay.

    Copies that go on while an instruction calls others are spread over what these leave idle. Instructions that only a
    final text has (the waits for copies and the like) count with the next instruction of their
    computation that takes time, those at its end with the last one, so that nothing is lost:
    ``sum(seconds) + sum(stall) + elsewhere`` is the replay's total.
    """
    count = len(problem.instructions)
    found = Timeline([0] * count, [0.0] * count, [0.0] * count, [0.0] * count, [0.0] * count, 0.0)
    waiting: dict[str, list[Row]] = {}
    last: dict[str, int] = {}
    for row in replay.rows:
        if row.time is None:
            waiting.setdefault(row.computation, []).append(row)
            continue
        found.runs[row.time] = row.runs
        _add(found, row.time, row)
        if not problem.instructions[row.time].free:
            last[row.computation] = row.time
            for extra in waiting.pop(row.computation, ()):
                _add(found, row.time, extra)
        else:
            last.setdefault(row.computation, row.time)
    elsewhere = 0.0
    for computation, rows in waiting.items():
        for row in rows:
            if computation in last:
                _add(found, last[computation], row)
            else:
                elsewhere += row.runs * (row.seconds + row.stall)
    _spread(problem, found)
    return Timeline(found.runs, found.seconds, found.stall, found.hbm, found.copies, elsewhere)


def _spread(problem: Problem, found: Timeline) -> None:
    """Move the copies of calling instructions to the instructions that run meanwhile; inner calls come first."""
    for time, children in sorted(problem.children.items()):
        start = min(problem.computations[child].start for child in children)
        idle = [max(0.0, found.seconds[at] - found.hbm[at] - found.copies[at]) for at in range(start, time)]
        whole, copies = sum(idle), found.copies[time]
        if whole > 0.0 and copies > 0.0:
            found.copies[time] = 0.0
            for at, share in enumerate(idle, start):
                found.copies[at] += copies * share / whole


def _add(found: Timeline, time: int, row: Row) -> None:
    found.seconds[time] += row.runs * row.seconds
    found.stall[time] += row.runs * row.stall
    found.hbm[time] += row.runs * row.hbm_seconds
    found.copies[time] += row.runs * row.copy_seconds
