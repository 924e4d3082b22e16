"""Memories over the schedule, of the program that is placed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame.programs.placed import load_placed
from mallocgame.report.memory import memory_use
from mallocgame.report.memory.course import Courses, courses_of
from mallocgame.system.progress import silent
from tests.report.memory.made import placed

CAPTURES = Path(__file__).parents[2] / "kept" / "data"


def made_courses() -> Courses:
    return courses_of(placed(), memory_use(placed()))


def test_places_and_live_bytes() -> None:
    """512 bytes of output and 4,096 of each argument are there throughout; the temporaries lie above them."""
    courses = made_courses()
    assert courses.instructions == ("x", "s", "a", "b", "c", "n", "t")
    assert courses.loops == ()
    (hbm,) = courses.memories
    lasting = 4096 + 4096 + 512
    assert [(one.buffer.name, one.offset, one.buffer.size, one.buffer.live) for one in hbm.held] == [
        ("s", 0, 4096, (0, 6)),
        ("x", 4096, 4096, (0, 6)),
        ("t", 8192, 512, (0, 6)),
        ("a", lasting, 4096, (2, 4)),
        ("b", lasting + 8192, 524288, (3, 4)),
        ("c", lasting + 536576, 4096, (4, 5)),
    ]
    assert [count - lasting for count in hbm.live] == [0, 0, 4096, 4096 + 524288, 2 * 4096 + 524288, 4096, 0]


@pytest.mark.parametrize("name", ["tiny", "tiny-scan"])
def test_the_most_that_is_live_is_the_peak(name: str) -> None:
    program = load_placed(CAPTURES / f"{name}.mgz", None, module=None, progress=silent)
    use = memory_use(program)
    courses = courses_of(program, use)
    for peak, course in zip(use.peaks, courses.memories, strict=True):
        assert (max(course.live), course.live.index(max(course.live))) == (peak.live, peak.time)
        total = next(space.total for space in use.spaces if space.memory_space == peak.memory_space)
        assert max(one.offset + one.buffer.size for one in course.held) <= total
        names = {one.buffer.name: one.buffer for one in course.held}
        assert len(names) == len(course.held)
        assert all(names[buffer.name].live == buffer.live for buffer in peak.buffers)
    if name == "tiny-scan":
        (start, end), *_ = courses.loops
        assert 0 < start < end < len(courses.instructions)
