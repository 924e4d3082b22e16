"""Memories over the schedule in Chrome's trace event format: a process for each memory, and one for the schedule.

An instruction of the schedule takes a microsecond: what it takes on the device is not known here. Slices are live
ranges; those of one thread are apart or one in the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mallocgame.report.memory.course import Course, Courses, Held
from mallocgame.report.memory.use import KINDS, Kind, MemoryUse
from mallocgame.report.trace_events import Event, counter, process_named, slice_of, thread_named, to_json

DEEP = 32
"""How many slices may be one in the other, which keeps threads few; Perfetto shows 512."""


def to_trace(use: MemoryUse, courses: Courses) -> str:
    """The trace as JSON text."""
    events = [*process_named(1, "schedule"), *thread_named(1, 1, "instructions")]
    events += (
        slice_of(1, 1, "instruction", name, (time, time + 1), {"time": time})
        for time, name in enumerate(courses.instructions)
    )
    names = {space.memory_space: space.name for space in use.spaces}
    for number, course in enumerate(courses.memories, 2):
        events += _memory(course, names[course.memory_space], number, len(courses.instructions))
    about = {"module": use.module, "target": use.target, "time": "1 us is one instruction of the schedule"}
    return to_json(events, about)


def _memory(course: Course, name: str, process: int, times: int) -> Iterator[Event]:
    yield from process_named(process, name)
    for time, live in enumerate(course.live):
        if time == 0 or live != course.live[time - 1]:
            yield counter(process, f"{name}, live bytes", time, {"live": live})
    yield counter(process, f"{name}, live bytes", times, {"live": 0})
    thread = 0
    for kind, words in KINDS.items():
        for number, lane in enumerate(_lanes(course, kind), 1):
            thread += 1
            yield from thread_named(process, thread, f"{words} {number}")
            for one in lane.held:
                yield _slice(one, process, thread)


@dataclass
class _Lane:
    """Slices of one thread, in order of their starts; ``open`` are the ends of those that one more is inside of."""

    held: list[Held] = field(default_factory=list)
    open: list[int] = field(default_factory=list)

    def takes(self, one: Held) -> bool:
        """Add a buffer if it is apart from all others, or inside of those that it meets."""
        start, end = _times(one)
        while self.open and self.open[-1] < start:
            self.open.pop()
        fits = not self.open or (self.open[-1] >= end and len(self.open) < DEEP)
        if fits:
            self.held.append(one)
            self.open.append(end)
        return fits


def _lanes(course: Course, kind: Kind) -> list[_Lane]:
    """Buffers of one kind, each on the first lane that takes it."""
    lanes: list[_Lane] = []
    for one in sorted((held for held in course.held if held.buffer.kind == kind), key=_order):
        if not any(lane.takes(one) for lane in lanes):
            lanes.append(_Lane())
            lanes[-1].takes(one)
    return lanes


def _order(one: Held) -> tuple[int, int, int]:
    start, end = _times(one)
    return start, -end, -one.buffer.size


def _times(one: Held) -> tuple[int, int]:
    assert one.buffer.live is not None, "a buffer with a place in a course has a live range"
    return one.buffer.live


def _slice(one: Held, process: int, thread: int) -> Event:
    buffer, (start, end) = one.buffer, _times(one)
    about = {
        "bytes": buffer.size,
        "bytes without padding": buffer.plain_size,
        "role": buffer.role,
        "shape": buffer.shape,
        "by": buffer.opcode,
        "what": buffer.what,
        "source": buffer.source or "",
    }
    return slice_of(process, thread, buffer.kind, buffer.name, (start, end + 1), about)
