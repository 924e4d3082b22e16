"""What is spilled, against a choice of all subsets, and by hand."""

from __future__ import annotations

import sys
from itertools import combinations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mallocgame.packing import Buffer, pack, spill, validate
from mallocgame.packing.joint import clashes
from mallocgame.system.errors import BadInputError

CAPACITY = 10


@st.composite
def problems(draw: st.DrawFn) -> list[Buffer]:
    """A few buffers, some of which have a colocation, a separation, or a fixed offset."""
    buffers = []
    for number in range(draw(st.integers(0, 7))):
        lower = draw(st.integers(0, 5))
        buffers.append(
            Buffer(
                str(number),
                lower,
                lower + draw(st.integers(1, 4)),
                draw(st.integers(0, 8)),
                offset=draw(st.sampled_from([None, None, None, None, 0, 1])),
                colocation=draw(st.sampled_from(["", "", "", "x"])),
                separations=draw(st.sampled_from([(), (), ("p",)])),
                cost=draw(st.sampled_from([None, 0, 1, 2, 3, 9])),
            )
        )
    return buffers


def cost(buffers: list[Buffer]) -> int:
    return sum(buffer.size if buffer.cost is None else buffer.cost for buffer in buffers)


def least(buffers: list[Buffer]) -> int:
    """Of all that may be spilled, the least cost with which the exact search packs the rest."""
    fixed = {buffer.colocation or buffer.id for buffer in buffers if buffer.offset is not None}
    groups: dict[str, list[Buffer]] = {}
    for buffer in buffers:
        groups.setdefault(buffer.colocation or buffer.id, []).append(buffer)
    found = []
    for size in range(len(groups) + 1):
        for spilled in combinations(sorted(groups.keys() - fixed), size):
            rest = [buffer for buffer in buffers if (buffer.colocation or buffer.id) not in spilled]
            if pack(rest, CAPACITY).status == "feasible":
                found.append(cost(buffers) - cost(rest))
    return min(found)


@settings(max_examples=150, deadline=None)
@given(problems())
def test_least_of_all_subsets(buffers: list[Buffer]) -> None:
    assume(not list(clashes(buffers)))
    found = spill(buffers, CAPACITY)
    kept = [(buffer, at) for buffer, at in zip(buffers, found.offsets, strict=True) if at is not None]
    assert not validate([buffer for buffer, _ in kept], [at for _, at in kept], CAPACITY)
    assert cost(buffers) - cost([buffer for buffer, _ in kept]) == found.cost
    assert (found.status, found.lower_bound, found.cost) == ("optimal", found.cost, least(buffers))


def test_by_hand() -> None:
    """Three are live at once, 14 bytes: without the largest 8 are left, but the other two cost less together."""
    buffers = [Buffer("a", 0, 4, 6, cost=5), Buffer("b", 1, 3, 4, cost=2), Buffer("c", 1, 2, 4, cost=2)]
    assert spill(buffers, 10).cost == 2
    found = spill(buffers, 7)
    assert (found.cost, found.status, found.offsets[1:]) == (4, "optimal", (None, None))
    assert spill(buffers, 14).cost == 0


def test_without_costs_it_is_sizes() -> None:
    found = spill([Buffer("a", 0, 2, 6), Buffer("b", 1, 3, 5)], CAPACITY)
    assert (found.cost, found.offsets) == (5, (0, None))


def test_what_the_load_does_not_show() -> None:
    """Never more than two live at once, but each meets both others, so that 10 bytes hold two."""
    buffers = [Buffer("a", 0, 2, 5), Buffer("b", 1, 3, 5, cost=3), Buffer("c", 0, 3, 5, gaps=((1, 2),))]
    found = spill(buffers, CAPACITY)
    assert (found.status, found.cost, found.offsets[1]) == ("optimal", 3, None)


def test_many_of_one_size() -> None:
    """Of 24 there is room for 12: the bound is met at once, however many choices there are."""
    buffers = [Buffer(str(number), 0, 5, 3, cost=7) for number in range(24)]
    found = spill(buffers, 38)
    assert (found.status, found.cost) == ("optimal", 84)


def test_fixed_buffers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInputError, match="fixed offsets alone do not fit"):
        spill([Buffer("a", 0, 2, 6, offset=5)], CAPACITY)


def test_the_time_limit_leaves_an_answer_and_a_bound() -> None:
    buffers = [Buffer(str(k), (37 * k) % 211, (37 * k) % 211 + 20 + k % 43, 1001 + 7919 * k % 9973) for k in range(300)]
    found = spill(buffers, 100_000, time_limit=0.5)
    assert 0 < found.lower_bound <= found.cost
    assert found.status == ("optimal" if found.lower_bound == found.cost else "time limit")


def test_interrupted_it_is_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["mallocgame.packing.spill"], "decide", interrupt)
    found = spill([Buffer("a", 0, 2, 6), Buffer("b", 1, 3, 5)], CAPACITY)
    assert (found.status, found.cost, found.lower_bound, found.spilled) == ("time limit", 5, 0, ("b",))
