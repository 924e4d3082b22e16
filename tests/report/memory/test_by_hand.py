"""Memory of a program that is placed by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mallocgame.report.memory import Buffer, Keeper, Kinds, SpaceUse, memory_use
from mallocgame.report.memory.places import Lived, holding, peak_time
from mallocgame.system.errors import BadInputError
from tests.report.memory.made import ASSIGNMENT, LINE, REPORT, WIDE, placed
from xla_dump_parser import AssignedValue, parse_shape


def test_kinds_and_spaces() -> None:
    use = memory_use(placed())
    assert use.spaces == (SpaceUse("HBM", 0, 549376, round(15.75 * 2**30)),)
    assert use.kinds == Kinds(
        arguments=4096, aliased=4096, outputs=512, temporaries=540672, constants=0, thread_local=0
    )
    assert use.fits
    assert use.scoped == 16 * 2**20


def test_peak() -> None:
    (peak,) = memory_use(placed()).peaks
    assert (peak.time, peak.instruction) == (4, "c")  # a and b end there, c begins
    assert (peak.live, peak.rest) == (549376 - 8192, 8192)
    assert [(buffer.name, buffer.kind, buffer.size, buffer.live) for buffer in peak.buffers] == [
        ("b", "temporary", 524288, (3, 4)),
        ("a", "temporary", 4096, (2, 4)),
        ("c", "temporary", 4096, (4, 5)),
        ("s", "aliased", 4096, (0, 6)),
        ("x", "argument", 4096, (0, 6)),
        ("t", "output", 512, (0, 6)),
    ]
    wide = peak.buffers[0]
    assert wide == Buffer(
        "b",
        "temporary",
        WIDE,
        "f32",
        524288,
        8192,
        "broadcast",
        "wide",
        "step.py:4",
        (3, 4),
        role="other",
        kept=Keeper("read", "c", 4, "", None, ""),
    )
    assert wide.padding == 64
    assert peak.buffers[3].what == "state['s']"
    assert peak.by_kind() == {"temporary": 532480, "aliased": 4096, "argument": 4096, "output": 512}
    assert peak.by_role() == {"other": 528896, "not known": 4096, "other inputs": 8192}
    assert peak.by_source() == {"step.py:4": 524288, None: 12800, "step.py:3": 4096}


def test_an_outputs_place_is_told_by_the_output() -> None:
    """Not by the smaller value that used it before: that would look like padding."""
    small = "f32[8]{0:T(128)}"
    text = ASSIGNMENT.replace(
        "parameter 1, shape |f32[1024]| at ShapeIndex {}, maybe-live-out", "maybe-live-out"
    ).replace(f" value: <1 s @0> (size=4096,offset=0): {LINE}", f" value: <1 c @0> (size=512,offset=0): {small}")
    (peak,) = memory_use(placed(assignment=text)).peaks
    (place,) = [buffer for buffer in peak.buffers if buffer.kind == "output" and buffer.dtype]
    assert (place.name, place.size, place.padding) == ("n", 4096, 1)


def test_report_and_assignment_have_to_agree() -> None:
    with pytest.raises(BadInputError, match="has 549377 bytes in default, the buffer assignment 549376"):
        memory_use(placed(REPORT.replace("549376", "549377")))
    with pytest.raises(BadInputError, match="allocation 3 of the buffer assignment is of no known kind"):
        memory_use(placed(assignment=ASSIGNMENT.replace("preallocated-temp", "of another kind")))
    assert memory_use(placed(report="")).spaces == memory_use(placed()).spaces


VALUES = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 8), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12
)


@given(VALUES)
def test_the_peak_is_that_of_every_byte_counted_once(drawn: list[tuple[int, int, int, int]]) -> None:
    shape = parse_shape(LINE)
    values = [
        Lived(AssignedValue(n, f"v{n}", (), False, 0, size, offset, shape), (min(a, b), max(a, b)))
        for n, (offset, size, a, b) in enumerate(drawn)
    ]

    def covered(time: int) -> set[int]:
        live = (one.value for one in values if one.live[0] <= time <= one.live[1])
        return {byte for value in live for byte in range(value.offset, value.offset + value.size)}

    counts = [len(covered(time)) for time in range(10)]
    time = peak_time([values], 10)
    assert time == counts.index(max(counts))
    assert sum(size for _, size in holding(values, time)) == counts[time]
    assert peak_time([values, values], 10) == time
