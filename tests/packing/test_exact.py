"""The exact search against brute force over all offsets, and cases that can be checked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mallocgame.packing import Buffer, compile_native, fit_most, minimise, pack, validate
from mallocgame.packing.block import blocks_of, by_buffer
from mallocgame.packing.joint import clashes
from mallocgame.packing.pack import Search
from mallocgame.system.errors import BadInputError


def live(buffer: Buffer, time: int) -> bool:
    return buffer.lower <= time < buffer.upper and not any(low <= time < high for low, high in buffer.gaps)


def brute_force(buffers: Sequence[Buffer], capacity: int) -> bool:
    """Whether any offsets at all do, tried one by one on a grid of times and bytes."""
    taken: set[tuple[object, int]] = set()
    colocated: dict[str, int] = {}

    def fits(index: int) -> bool:
        if index == len(buffers):
            return True
        buffer = buffers[index]
        for offset in range(0, capacity - buffer.size + 1, buffer.alignment):
            cells = {
                (time, byte)
                for time in range(buffer.lower, buffer.upper)
                if live(buffer, time)
                for byte in range(offset, offset + buffer.size)
            }
            cells |= {(name, byte) for name in buffer.separations for byte in range(offset, offset + buffer.size)}
            if cells & taken or buffer.offset not in (None, offset):
                continue
            if buffer.colocation and colocated.get(buffer.colocation, offset) != offset:
                continue
            leads = bool(buffer.colocation) and buffer.colocation not in colocated
            if leads:
                colocated[buffer.colocation] = offset
            taken.update(cells)
            if fits(index + 1):
                return True
            taken.difference_update(cells)
            if leads:
                del colocated[buffer.colocation]
        return False

    return fits(0)


@st.composite
def problems(draw: st.DrawFn, count: int) -> list[Buffer]:
    """At least one buffer, at most ``count``."""
    buffers = []
    for index in range(draw(st.integers(1, count))):
        lower = draw(st.integers(0, 5))
        upper = draw(st.integers(lower + 1, 6))
        alignment = draw(st.sampled_from([1, 1, 1, 2, 3]))
        low = draw(st.integers(lower, upper - 1))
        gaps = draw(st.sampled_from([(), (), ((low, draw(st.integers(low + 1, upper))),)]))
        size = draw(st.sampled_from([1, 2, 2, 3, 3, 4, 5, 0]))
        offset = draw(st.sampled_from([None, None, None, draw(st.integers(0, 2)) * alignment]))
        hint = draw(st.sampled_from([None, None, draw(st.integers(0, 8))]))
        colocation = draw(st.sampled_from(["", "", "x", "y"]))
        separations = draw(st.sampled_from([(), (), ("p",), ("q",), ("p", "q")]))
        buffers.append(Buffer(str(index), lower, upper, size, alignment, gaps, hint, offset, colocation, separations))
    return buffers


@settings(max_examples=500, deadline=None)
@given(problems(7), st.integers(3, 9))
def test_agrees_with_brute_force(buffers: list[Buffer], capacity: int) -> None:
    assume(not list(clashes(buffers)))
    fixed = [buffer for buffer in buffers if buffer.offset is not None]
    found = pack(buffers, capacity)
    expected = "feasible" if brute_force(buffers, capacity) else "infeasible"
    assert found.status == expected
    assert found.lower_bound <= capacity or found.offsets is None
    if found.offsets is not None:
        assert not validate(buffers, found.offsets, capacity)
    if found.lower_bound <= capacity and brute_force(fixed, capacity):
        blocks = blocks_of(buffers)
        search = Search(blocks, capacity, 0)
        assert search.run(monotonic() + 60) == expected
        if search.offsets is not None:
            assert not validate(buffers, by_buffer(blocks, search.offsets), capacity)


@settings(max_examples=100, deadline=None)
@given(problems(4))
def test_smallest_capacity_is_brute_forces(buffers: list[Buffer]) -> None:
    try:
        found = minimise(buffers)
    except BadInputError:
        assert not brute_force(buffers, 30)
        return
    assert found.status == "optimal"
    assert found.offsets is not None
    assert found.lower_bound == found.capacity
    assert not validate(buffers, found.offsets, found.capacity)
    assert brute_force(buffers, found.capacity)
    assert not brute_force(buffers, found.capacity - 1)


def test_example_needs_all_of_its_capacity() -> None:
    rows = [("b1", 0, 3), ("b2", 3, 9), ("b3", 0, 9), ("b4", 9, 21), ("b5", 0, 21)]
    buffers = [Buffer(name, lower, upper, 4) for name, lower, upper in rows]
    assert pack(buffers, 12).status == "feasible"
    assert pack(buffers, 11).status == "infeasible"


def test_load_is_not_enough() -> None:
    """Never more than two live at once, but each meets both others, so that there have to be three places."""
    buffers = [Buffer("a", 0, 2, 5), Buffer("b", 1, 3, 5), Buffer("c", 0, 3, 5, gaps=((1, 2),))]
    found = pack(buffers, 14)
    assert (found.status, found.lower_bound) == ("infeasible", 10)
    assert sorted(pack(buffers, 15).offsets or ()) == [0, 5, 10]
    assert (minimise(buffers).status, minimise(buffers).capacity) == ("optimal", 15)


def test_half_open_ranges_share_bytes() -> None:
    buffers = [Buffer("a", 0, 5, 8), Buffer("b", 5, 9, 8)]
    assert pack(buffers, 8).offsets == (0, 0)


def test_alignment() -> None:
    buffers = [Buffer("a", 0, 2, 3, offset=0), Buffer("b", 0, 2, 4, alignment=4)]
    assert pack(buffers, 8).offsets == (0, 4)
    assert pack(buffers, 7).status == "infeasible"


def test_gap_holds_another_buffer() -> None:
    outer = Buffer("outer", 0, 10, 6, gaps=((3, 7),))
    inner = Buffer("inner", 3, 7, 6)
    assert pack([outer, inner], 6).offsets == (0, 0)
    assert pack([outer, Buffer("inner", 3, 8, 6)], 11).status == "infeasible"


def test_fixed_offset_splits_the_room() -> None:
    wall = Buffer("wall", 0, 4, 2, offset=4)
    assert pack([wall, Buffer("a", 0, 4, 4), Buffer("b", 0, 4, 4)], 10).status == "feasible"
    assert pack([wall, Buffer("a", 0, 4, 5), Buffer("b", 0, 4, 3)], 11).offsets == (4, 6, 0)
    assert pack([wall, Buffer("a", 0, 4, 5), Buffer("b", 0, 4, 4)], 10).status == "infeasible"


def test_colocation() -> None:
    """a and c are at one offset, below b or above it: its bytes at time 2 are free below c, which is smaller."""
    a, b, c = (Buffer("a", 0, 2, 4, colocation="x"), Buffer("b", 0, 4, 3), Buffer("c", 2, 4, 2, colocation="x"))
    found = minimise([a, b, c])
    assert (found.status, found.capacity) == ("optimal", 7)
    assert found.offsets is not None
    assert found.offsets[0] == found.offsets[2]
    d = Buffer("d", 2, 4, 2)
    assert pack([a, b, c, d], 7).offsets in ((0, 4, 0, 2), (3, 0, 3, 5))
    assert pack([replace(a, colocation=""), replace(b, offset=0), replace(c, offset=3)], 7).status == "feasible"
    assert pack([replace(a, offset=0), replace(b, size=4), replace(c, offset=None, alignment=8)], 8).offsets == (
        0,
        4,
        0,
    )


def test_colocation_has_all_alignments() -> None:
    buffers = [Buffer("a", 0, 2, 1, 4, colocation="x"), Buffer("b", 2, 3, 1, 6, colocation="x")]
    wall = Buffer("wall", 0, 3, 1, offset=0)
    assert pack([*buffers, wall], 13).offsets == (12, 12, 0)
    assert pack([*buffers, wall], 12).status == "infeasible"


def test_separation() -> None:
    """Never live at once, yet the two of a separation have bytes of their own; c may have those of either."""
    buffers = [Buffer("a", 0, 2, 4, separations=("p",)), Buffer("b", 2, 4, 3, separations=("p",)), Buffer("c", 4, 5, 7)]
    found = minimise(buffers)
    assert (found.status, found.capacity) == ("optimal", 7)
    assert sorted((found.offsets or ())[:2]) in ([0, 3], [0, 4])
    assert pack(buffers, 6).status == "infeasible"
    assert minimise([replace(buffer, separations=()) for buffer in buffers[:2]]).capacity == 4


def test_fixed_offsets_that_overlap() -> None:
    buffers = [Buffer("a", 0, 4, 2, offset=1), Buffer("b", 3, 5, 2, offset=2)]
    for attempt in (lambda: pack(buffers, 100), lambda: minimise(buffers), lambda: fit_most(buffers, [1, 1], 100)):
        with pytest.raises(BadInputError, match="buffers 'a' and 'b' share bytes 2 to 3 at time 3"):
            attempt()


def test_valid_hints_are_the_answer() -> None:
    buffers = [Buffer("a", 0, 4, 2, hint=5), Buffer("b", 0, 4, 2, hint=0), Buffer("c", 4, 5, 1, offset=3)]
    found = pack(buffers, 7)
    assert found.offsets == (5, 0, 3)
    assert found.nodes == 0
    assert pack(buffers, 6).status == "feasible"


def test_nothing_to_pack() -> None:
    assert pack([], 0).offsets == ()
    assert pack([Buffer("empty", 0, 1, 0)], 0).offsets == (0,)
    assert minimise([]).status == "optimal"
    hollow = Buffer("hollow", 0, 4, 9, gaps=((0, 4),))
    assert pack([hollow], 9).offsets == (0,)
    assert pack([hollow], 8).status == "infeasible"


def test_time_limit_is_not_infeasible() -> None:
    """300 buffers into exactly what is live at once: nothing that one restart answers."""
    buffers = [Buffer(str(k), (37 * k) % 211, (37 * k) % 211 + 20 + k % 43, 1001 + 7919 * k % 9973) for k in range(300)]
    compile_native()
    found = pack(buffers, pack(buffers, 10**9).lower_bound, time_limit=1e-6)
    assert found.status == "time limit"
    assert found.offsets is None
    assert found.seconds < 5


@pytest.mark.parametrize("time_limit", [0.0, -1.0, float("nan"), float("inf")])
def test_time_limit_out_of_range(time_limit: float) -> None:
    with pytest.raises(BadInputError, match="time limit"):
        pack([], 1, time_limit=time_limit)


def test_two_of_a_name() -> None:
    with pytest.raises(BadInputError, match="'a'"):
        pack([Buffer("a", 0, 1, 1), Buffer("a", 0, 1, 1)], 2)


def test_seeds_repeat() -> None:
    buffers = [Buffer(str(k), (7 * k) % 40, (7 * k) % 40 + 5 + k % 9, 11 + (13 * k) % 17) for k in range(60)]
    first, second = (minimise(buffers, time_limit=2, seed=3) for _ in range(2))
    assert first.status == second.status == "optimal"
    assert (first.offsets, first.nodes) == (second.offsets, second.nodes)
