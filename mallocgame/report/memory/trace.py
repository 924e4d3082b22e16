"""Memories over the schedule in Chrome's trace event format: a process for each memory, and one for the schedule.

An instruction of the schedule takes a microsecond: what it takes on the device is not known here. Slices are live
ranges; those of one thread are apart or one in the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
            for one in lane:
                yield _slice(one, process, thread)


def _lanes(course: Course, kind: Kind) -> Sequence[Sequence[Held]]:
    """Buffers of one kind on as few threads as come about when each takes the first on which it fits."""
    lanes: list[list[Held]] = []
    ends: list[list[int]] = []
    for one in sorted((held for held in course.held if held.buffer.kind == kind), key=_order):
        start, end = _times(one)
        for lane, open_until in zip(lanes, ends, strict=True):
            while open_until and open_until[-1] < start:
                open_until.pop()
            if not open_until or (open_until[-1] >= end and len(open_until) < DEEP):
                break
        else:
            lane, open_until = [], []
            lanes.append(lane)
            ends.append(open_until)
        lane.append(one)
        open_until.append(end)
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
        "shape": buffer.shape,
        "by": buffer.opcode,
        "what": buffer.what,
        "source": buffer.source or "",
    }
    return slice_of(process, thread, buffer.kind, buffer.name, (start, end + 1), about)
