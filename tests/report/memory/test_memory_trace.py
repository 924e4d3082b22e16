"""The trace of a program that is placed by hand."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mallocgame.report.memory import Buffer, MemoryUse, SpaceUse, memory_use
from mallocgame.report.memory.course import Course, Courses, Held
from mallocgame.report.memory.trace import DEEP, to_trace
from tests.report.memory.made import placed
from tests.report.memory.test_course import made_courses
from tests.report.test_trace import KEYS, check_nesting


def events(use: MemoryUse, courses: Courses) -> list[dict[str, Any]]:
    value = json.loads(to_trace(use, courses))
    found: list[dict[str, Any]] = value["traceEvents"]
    assert all(set(event) == KEYS[event["ph"]] for event in found)
    check_nesting(found)
    return found


def test_by_hand() -> None:
    found = events(memory_use(placed()), made_courses())
    processes = {e["pid"]: e["args"]["name"] for e in found if e["name"] == "process_name"}
    assert processes == {1: "schedule", 2: "HBM"}
    threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in found if e["name"] == "thread_name"}
    slices = [(threads[e["pid"], e["tid"]], e["name"], e["ts"], e["dur"]) for e in found if e["ph"] == "X"]
    assert slices[:7] == [("instructions", name, time, 1) for time, name in enumerate("xsabcnt")]
    assert sorted(slices[7:]) == [
        ("arguments 1", "x", 0, 7),
        ("donated arguments 1", "s", 0, 7),
        ("outputs 1", "t", 0, 7),
        ("temporaries 1", "a", 2, 3),
        ("temporaries 1", "b", 3, 2),  # it lives inside of a
        ("temporaries 2", "c", 4, 2),  # it begins before these end, and outlives them
    ]
    counted = [(e["ts"], e["args"]["live"] - 8704) for e in found if e["ph"] == "C"]
    assert counted == [(0, 0), (2, 4096), (3, 528384), (4, 532480), (5, 4096), (6, 0), (7, -8704)]
    (wide,) = [e["args"] for e in found if e["ph"] == "X" and e["pid"] == 2 and e["name"] == "b"]
    assert (wide["bytes"], wide["bytes without padding"], wide["source"]) == (524288, 8192, "step.py:4")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60))
def test_slices_of_a_thread_are_apart_or_one_in_the_other(drawn: list[tuple[int, int]]) -> None:
    held = tuple(
        Held(Buffer(f"v{n}", "temporary", "", "", 1, 1, "", "", None, (min(one), max(one))), 0, ())
        for n, one in enumerate(drawn)
    )
    use = MemoryUse("m", "v5e", (SpaceUse("HBM", 0, 1, None),), None, (), ())
    found = events(use, Courses(tuple("x" * 10), (), (Course(0, held, (1,) * 10),)))
    slices = [e for e in found if e["ph"] == "X" and e["pid"] == 2]
    assert sorted(e["name"] for e in slices) == sorted(one.buffer.name for one in held)
    assert {(e["name"], e["ts"], e["ts"] + e["dur"] - 1) for e in slices} == {
        (one.buffer.name, *one.buffer.live) for one in held if one.buffer.live
    }


def test_threads_are_not_too_deep() -> None:
    held = tuple(
        Held(Buffer(f"v{n}", "argument", "", "", 1, 1, "", "", None, (0, 1)), 0, ()) for n in range(2 * DEEP + 1)
    )
    use = MemoryUse("m", "v5e", (SpaceUse("HBM", 0, 1, None),), None, (), ())
    found = events(use, Courses(("x", "y"), (), (Course(0, held, (1, 1)),)))
    assert [e["args"]["name"] for e in found if e["name"] == "thread_name"][1:] == [f"arguments {n}" for n in (1, 2, 3)]
