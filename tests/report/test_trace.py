"""The trace keeps to Chrome's trace event format, and its slices are the replay's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mallocgame.report.comparison import MODELS, Comparison
from mallocgame.report.trace import to_trace
from tests.report.made import predicted, random_comparison, small

KEYS = {
    "M": {"ph", "name", "pid", "tid", "args"},
    "X": {"ph", "name", "cat", "pid", "tid", "ts", "dur", "args"},
    "C": {"ph", "name", "pid", "ts", "args"},
}
"""What the format asks of each kind of event that we write."""


def read(comparison: Comparison) -> list[dict[str, Any]]:
    """The events, after a look at the whole."""
    value = json.loads(to_trace(comparison))
    assert set(value) == {"traceEvents", "displayTimeUnit", "otherData"}
    assert value["displayTimeUnit"] == "ns"
    events: list[dict[str, Any]] = value["traceEvents"]
    for event in events:
        assert set(event) == KEYS[event["ph"]]
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        if event["ph"] != "M":
            assert event["ts"] >= 0.0
        if event["ph"] == "X":
            assert event["dur"] >= 0.0
        if event["ph"] == "C":
            assert 0.0 <= event["args"]["used"] <= 100.0
    return events


def check_nesting(events: list[dict[str, Any]]) -> None:
    """Slices of one thread are apart or one in the other, in whole nanoseconds."""
    threads: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for event in events:
        if event["ph"] == "X":
            start = round(event["ts"] * 1000)
            threads.setdefault((event["pid"], event["tid"]), []).append((start, start + round(event["dur"] * 1000)))
    for slices in threads.values():
        open_until: list[int] = []
        for start, end in sorted(slices, key=lambda slice: (slice[0], -slice[1])):
            while open_until and open_until[-1] <= start:
                open_until.pop()
            assert not open_until or end <= open_until[-1]
            open_until.append(end)


def process(events: list[dict[str, Any]], name: str) -> int:
    (found,) = [e["pid"] for e in events if e["name"] == "process_name" and e["args"]["name"] == name]
    return int(found)


def test_by_hand() -> None:
    events = read(small())
    check_nesting(events)
    number = process(events, "the plan, model M")
    slices = [e for e in events if e["ph"] == "X" and e["pid"] == number]
    seen = [(e["cat"], e["name"], e["ts"] / 1e6, e["dur"] / 1e6) for e in slices]
    assert seen == [
        ("instructions", "a", 0.0, 10.0),
        ("instructions", "b", 10.0, 15.0),
        ("waiting for copies", "before c", 25.0, 3.0),
        ("instructions", "c", 28.0, 17.3),
        ("prefetch queue", "w", 0.0, 28.0),
    ]
    assert slices[-1]["args"] == {"started": 0.0, "waited for": 25e6, "bytes": 20}
    assert slices[0]["args"] == {"opcode": "fusion", "computation": "main", "runs": 1, "seconds": 10.0}
    used = [(e["ts"] / 1e6, e["args"]["used"]) for e in events if e["ph"] == "C" and e["pid"] == number]
    # a: 6 s for its own bytes and 4 s for the copy; b: 2 and 13; then the wait; c: 15 of 17.3 s; the end
    assert used == [(0.0, 100.0), (10.0, 100.0), (25.0, 100.0), (28.0, pytest.approx(86.705)), (45.3, 0.0)]


def test_there_is_a_process_for_each_placement_and_model() -> None:
    names = [e["args"]["name"] for e in read(predicted()) if e["name"] == "process_name"]
    assert names == ["XLA's default, model E", "the plan, model E", "XLA's default, model M", "the plan, model M"]


@settings(max_examples=25, deadline=None)
@example(seed=496)  # a copy of the caller is under way while a callee makes its own
@given(seed=st.integers(0, 2**32 - 1))
def test_random_programs(seed: int) -> None:
    comparison = random_comparison(seed)
    events = read(comparison)
    check_nesting(events)
    for model in MODELS:
        for side in (comparison.before, comparison.after):
            number = process(events, f"{side.name}, model {model}")
            slices = [e for e in events if e["ph"] == "X" and e["pid"] == number]
            end = max((e["ts"] + e["dur"] for e in slices), default=0.0)
            assert end == pytest.approx(side.replays[model].total * 1e6, rel=1e-6, abs=0.002)
            copies = [e for e in slices if e["cat"].endswith("queue")]
            ran = {row.computation for row in side.replays[model].rows if row.runs}
            assert len(copies) == sum(flight.computation in ran for flight in side.replays[model].flights)
