"""The buffers in the way: proven not to fit, and that each of them is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mallocgame.packing import Buffer, Core, Packing, find_core, pack
from mallocgame.packing.block import Block
from mallocgame.packing.joint import clashes
from mallocgame.packing.pack import Decision, decide


@st.composite
def problems(draw: st.DrawFn) -> list[Buffer]:
    buffers = []
    for number in range(draw(st.integers(1, 9))):
        lower = draw(st.integers(0, 6))
        buffers.append(
            Buffer(
                str(number),
                lower,
                lower + draw(st.integers(1, 4)),
                draw(st.integers(1, 5)),
                alignment=draw(st.sampled_from([1, 1, 2])),
                offset=draw(st.sampled_from([None, None, None, 0, 4, 12])),
                colocation=draw(st.sampled_from(["", "", "", "x"])),
                separations=draw(st.sampled_from([(), (), ("p",)])),
            )
        )
    return buffers


@settings(max_examples=150, deadline=None)
@given(problems(), st.integers(1, 8))
def test_is_infeasible_and_minimal(buffers: list[Buffer], capacity: int) -> None:
    assume(not list(clashes(buffers)))
    packing = pack(buffers, capacity)
    assume(packing.status == "infeasible")
    core = find_core(buffers, packing)
    assert core is not None
    assert core.minimal
    members = [buffer for buffer in buffers if buffer.id in core.ids]
    assert pack(members, capacity).status == "infeasible"
    for member in members:
        assert pack([buffer for buffer in members if buffer is not member], capacity).status == "feasible"


def infeasible(buffers: list[Buffer], capacity: int) -> Packing:
    packing = pack(buffers, capacity)
    assert packing.status == "infeasible"
    return packing


def test_what_is_live_at_once() -> None:
    """At time 4 there are 11 bytes; the smallest one is not needed."""
    buffers = [
        Buffer("a", 0, 5, 4),
        Buffer("b", 4, 9, 5),
        Buffer("c", 3, 6, 2),
        Buffer("d", 4, 5, 4),
        Buffer("e", 6, 9, 5),
    ]
    packing = infeasible(buffers, 12)
    assert find_core(buffers, packing) == Core(("a", "b", "d"), True)


def test_what_the_load_does_not_show() -> None:
    rest = [Buffer(f"other {k}", 10 + k, 12 + k, 4) for k in range(30)]
    buffers = [Buffer("a", 0, 2, 5), *rest, Buffer("b", 1, 3, 5), Buffer("c", 0, 3, 5, gaps=((1, 2),))]
    assert find_core(buffers, infeasible(buffers, 10)) == Core(("a", "b", "c"), True)


def test_one_that_is_too_large() -> None:
    buffers = [Buffer("a", 0, 2, 5), Buffer("b", 1, 3, 5, offset=8)]
    assert find_core(buffers, infeasible(buffers, 12)) == Core(("b",), True)


def test_a_separation() -> None:
    buffers = [Buffer(name, k, k + 1, 4, separations=("p",)) for k, name in enumerate("abcd")]
    core = find_core(buffers, infeasible(buffers, 10))
    assert core is not None
    assert (len(core.ids), core.minimal) == (3, True)


def test_after_a_time_limit() -> None:
    """Nobody proved that the whole does not fit: three of it, which are next to each other in time, are found."""
    rest = [Buffer(f"other {k}", 10 + k, 12 + k, 3) for k in range(30)]
    buffers = [Buffer("a", 0, 2, 5), Buffer("b", 1, 3, 5), Buffer("c", 0, 3, 5, gaps=((1, 2),)), *rest]
    unknown = Packing("time limit", None, 10, 10, 1.0, 0)
    assert find_core(buffers, unknown) == Core(("a", "b", "c"), True)
    assert find_core(buffers[1:], unknown) is None


def test_interrupted_it_is_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sets are looked at, then comes Ctrl-C: proven not to fit, not proven that each of them is needed."""
    buffers = [Buffer(str(number), 0, 1, 4) for number in range(8)]
    packing, asked = infeasible(buffers, 10), []

    def interrupted(blocks: Sequence[Block], *rest: Any) -> Decision:
        asked.append(len(blocks))
        if len(asked) > 2:
            raise KeyboardInterrupt
        return decide(blocks, *rest)

    monkeypatch.setattr("mallocgame.packing.core.decide", interrupted)
    assert find_core(buffers, packing) == Core(("4", "5", "6", "7"), False)
    assert asked == [4, 0, 2]
