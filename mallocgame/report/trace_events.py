"""Events of Chrome's trace event format (JSON object form), which Perfetto and chrome://tracing open.

Times are microseconds, to the nanosecond, which is what Perfetto keeps.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Event = dict[str, Any]


def to_json(events: Sequence[Event], about: Mapping[str, Any]) -> str:
    """The trace as JSON text; ``about`` is what else there is to say of it."""
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ns", "otherData": about}, allow_nan=False)


def process_named(number: int, name: str) -> Iterator[Event]:
    """A process with its name; they are shown by number."""
    yield _about(number, 0, "process_name", {"name": name})
    yield _about(number, 0, "process_sort_index", {"sort_index": number})


def thread_named(process: int, thread: int, name: str) -> Iterator[Event]:
    """A thread with its name; they are shown by number."""
    yield _about(process, thread, "thread_name", {"name": name})
    yield _about(process, thread, "thread_sort_index", {"sort_index": thread})


def slice_of(
    process: int, thread: int, category: str, name: str, times: tuple[float, float], about: Mapping[str, Any]
) -> Event:
    """Something that lasts from one time to another."""
    start, end = times
    return {
        "ph": "X",
        "name": name,
        "cat": category,
        "pid": process,
        "tid": thread,
        "ts": start,
        "dur": round(end - start, 3),
        "args": about,
    }


def counter(process: int, name: str, time: float, values: Mapping[str, float]) -> Event:
    """What a counter shows from a time on."""
    return {"ph": "C", "name": name, "pid": process, "ts": time, "args": values}


def _about(process: int, thread: int, what: str, value: Mapping[str, Any]) -> Event:
    return {"ph": "M", "name": what, "pid": process, "tid": thread, "args": value}
