"""The simulated allocator and the order that makes everything fit."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mallocgame.compiler.export import order
from mallocgame.compiler.export.allocator import NOWHERE, best_fit
from mallocgame.compiler.export.order import Block, blocks_of, fitting_order, levels, requests_of
from mallocgame.plan.named_plan import NamedUse
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.problem.schema import Reservation
from tests.compiler.plans import tensor


def place(order: list[Block], capacity: int, alignment: int) -> tuple[dict[int, int], list[Block]]:
    """Offset of each group whose block was placed (the last one's, of several intervals), and what did not fit."""
    offsets = best_fit(*requests_of(order), np.arange(len(order)), capacity, alignment).tolist()
    placed = {one.group: offset for one, offset in zip(order, offsets, strict=True) if offset != NOWHERE}
    return placed, [one for one in order if one.group not in placed]


def block(group: int, size: int, start: int, end: int, offset: int = 0) -> Block:
    return Block(group, size, ((start, end),), offset)


def test_best_fit_takes_the_smallest_gap_then_the_lowest() -> None:
    a, b, c = block(0, 4, 0, 9), block(1, 2, 0, 4), block(2, 4, 0, 9)
    small, large = block(3, 2, 5, 9), block(4, 6, 5, 9)
    offsets, missed = place([a, b, c, small, large], 16, 1)
    assert offsets == {0: 0, 1: 4, 2: 6, 3: 4, 4: 10}
    assert not missed


def test_what_is_above_all_blocks_is_taken_last() -> None:
    """Measured: a gap of 26 MB in the middle was taken although 20 MB were left at the top."""
    blocks = [block(0, 4, 0, 9), block(1, 12, 0, 4), block(2, 4, 0, 9), block(3, 4, 5, 9)]
    assert place(blocks, 24, 1)[0] == {0: 0, 1: 4, 2: 16, 3: 4}


def test_alignment_rounds_up() -> None:
    offsets, _ = place([block(0, 5, 0, 1), block(1, 5, 0, 1)], 100, 8)
    assert offsets == {0: 0, 1: 8}


def test_intervals_are_closed() -> None:
    assert place([block(0, 4, 0, 5), block(1, 4, 5, 9)], 4, 1)[1] == [block(1, 4, 5, 9)]
    assert not place([block(0, 4, 0, 4), block(1, 4, 5, 9)], 4, 1)[1]


def test_finds_an_order_where_the_plan_order_fails() -> None:
    """Lowest offset first puts the short block under the long ones; the long ones have to come first."""
    blocks = [block(0, 4, 0, 9, 0), block(1, 4, 4, 14, 8), block(2, 4, 10, 19, 0), block(3, 8, 15, 19, 4)]
    found, _, missed = fitting_order(blocks, 12, 1)
    assert not missed
    assert sorted(one.group for one in found) == [0, 1, 2, 3]


def test_first_groups_come_first() -> None:
    blocks = [block(number, 4, 0, 9, 4 * number) for number in range(5)]
    found, _, _ = fitting_order(blocks, 20, 1, first=(3, 1))
    assert [one.group for one in found][:2] == [3, 1]


def test_blocks_join_the_stays_of_a_group() -> None:
    stays = [Stay(0, 0, 3, 0), Stay(1, 4, 8, 0), Stay(2, 2, 5, 16)]
    tensors = [
        tensor(0, "a", [NamedUse("u", ((0, ()),), True, time=3)], group=7, size=4),
        tensor(1, "b", [NamedUse("v", ((0, ()),), True, time=8)], group=7, size=6),
        tensor(
            2, "c", [NamedUse("v", ((1, ()),), False, time=8), NamedUse("w", ((1, ()),), True, time=5)], group=1, size=8
        ),
    ]
    copies = (Copy(2, "prefetch", 1, 2), Copy(0, "prefetch", 3, 5))
    assert blocks_of(Plan("f", stays=tuple(stays), copies=copies), tensors) == [
        Block(1, 8, ((2, 5),), 16, (5, 8), hasty=(2,)),
        Block(7, 6, ((0, 8),), 0, (3, 8)),
    ]


def test_a_copy_gets_a_place_of_its_own() -> None:
    """x is copied for its use at 3 and anew, from then on, for the one at 6: the second place need not be the first."""
    stays = (Stay(0, 1, 3, 0), Stay(0, 4, 6, 0))
    uses = [NamedUse("u", ((0, ()),), True, time=3), NamedUse("v", ((0, ()),), True, time=6)]
    copies = (Copy(0, "prefetch", 0, 3), Copy(0, "prefetch", 3, 6))
    (twice,) = blocks_of(Plan("f", stays=stays, copies=copies), [tensor(0, "x", uses, group=0, size=4)])
    assert twice.intervals == ((1, 3), (4, 6))
    below, above = block(1, 4, 0, 3), block(2, 4, 4, 9)
    assert place([below, twice, above], 8, 1) == ({1: 0, 0: 0, 2: 4}, []), "first at 4, then at 0"


def test_what_a_loop_carries_is_away_until_it_is_made_anew() -> None:
    """A loop from 4 to 20, its condition to 5: carried are what enters it, its parameters, a product and its result."""
    stays = [Stay(0, 2, 20, 0), Stay(1, 4, 5, 0), Stay(2, 6, 9, 0), Stay(3, 15, 19, 0), Stay(4, 20, 22, 0)]
    names = ("start", "q", "p", "made", "loop")
    uses = ((20, True), (4, False), (9, False), (19, False), (22, False))
    tensors = [
        tensor(id, name, [NamedUse("u", ((0, (1,)),), True, time=time, loop=loop)], group=0, size=4)
        for id, (name, (time, loop)) in enumerate(zip(names, uses, strict=True))
    ]
    (carried,) = blocks_of(Plan("f", stays=tuple(stays)), tensors)
    assert carried.holes == ((10, 14),)
    unmarked = [replace(one, uses=(replace(one.uses[0], loop=False),)) for one in tensors]
    assert blocks_of(Plan("f", stays=tuple(stays)), unmarked)[0].holes == ()


def test_others_are_placed_where_a_carried_block_is_away() -> None:
    """From 10 to 14 its bytes are free, so the smallest gap is there; what lasts longer goes above."""
    carried = Block(0, 4, ((0, 20),), 0, (5, 20), holes=((10, 14),))
    inside, longer, other = block(1, 4, 10, 14), block(2, 4, 10, 15), block(3, 2, 0, 20)
    assert place([carried, other, inside, longer], 100, 1)[0] == {0: 0, 3: 4, 1: 0, 2: 6}
    assert place([inside, carried, other], 100, 1)[0] == {1: 0, 0: 4, 3: 8}
    # No place lasts until its use at 20: its parts alone have to be free.
    assert place([inside, carried], 4, 1)[0] == {1: 0, 0: 0}


def test_a_hasty_copy_wants_its_bytes_one_time_earlier() -> None:
    """The large block takes everything until 4; a copy for a use at 5 that starts after 4 has to be placed before."""
    large, late = block(0, 12, 0, 4), block(1, 4, 5, 5, 0)
    hasty = replace(late, hasty=(5,))
    assert not place([large, late], 12, 1)[1]
    assert place([large, hasty], 12, 1)[1] == [hasty]
    assert not place([hasty, large], 12, 1)[1]
    assert not place([large, hasty], 16, 1)[1]
    assert fitting_order([large, hasty], 12, 1) == ([hasty, large], [], [])


def test_a_place_that_lasts_until_a_later_use_is_taken_first() -> None:
    """0..3 is free below for the stay alone; above it stays free until the use at 9, so the compiler goes there."""
    below, above = block(0, 4, 5, 9), block(1, 4, 0, 9, 4)
    stay = Block(2, 4, ((0, 2),), 0, (2, 9))
    assert place([below, above, stay], 100, 1)[0] == {0: 0, 1: 4, 2: 8}
    assert place([below, above, stay], 11, 1)[0] == {0: 0, 1: 4, 2: 0}


def test_room_is_sought_until_the_uses_within_reach() -> None:
    """The use at 9 is beyond reach: the smallest gap until 2 is taken, and that is not free any more at 9."""
    short, long, top = block(0, 4, 5, 9), block(1, 4, 0, 9, 10), block(2, 4, 0, 9)
    stay = Block(3, 4, ((0, 9),), 0, (2, 9))
    assert place([short, long, top, stay], 100, 1)[0] == {0: 0, 1: 4, 2: 8, 3: 12}
    beyond = replace(stay, far=frozenset({9}))
    assert place([short, long, top, beyond], 100, 1)[1] == [beyond]
    assert place([beyond, short, long, top], 100, 1)[0] == {3: 0, 0: 4, 1: 8, 2: 12}


def test_what_is_reserved_is_there_first() -> None:
    """4 bytes of 12 are always reserved, 8 of them at 5."""
    reserved = [Reservation(0, 4, 0, 4), Reservation(5, 5, 0, 8), Reservation(6, 9, 0, 4)]
    before, across, after, large = block(0, 4, 0, 4), block(1, 4, 3, 7), block(2, 4, 6, 9), block(3, 8, 5, 9)
    found, _, missed = fitting_order([before, across, after, large], 12, 1, reserved=reserved)
    assert missed == [large]
    offsets = best_fit(*requests_of(found, reserved), np.arange(len(found)), 12, 1).tolist()
    assert dict(zip((one.group for one in found), offsets, strict=True)) == {0: 4, 1: 8, 2: 4, 3: NOWHERE}


def test_a_block_itself_counts_one_time_before_its_hasty_copy() -> None:
    """Until 4 it is evicted; its copy for 5, beside what fills half, needs 4 more bytes then."""
    back, other = Block(0, 4, ((1, 4), (5, 5)), 0, hasty=(5,)), block(1, 4, 0, 9)
    assert place([other, back], 12, 1)[1] == []
    assert place([other, back], 8, 1)[1] == [back]
    assert place([other, replace(back, hasty=())], 8, 1)[1] == []


def test_what_is_reserved_counts_one_time_before_a_hasty_copy() -> None:
    hasty = Block(0, 4, ((5, 6),), 0, hasty=(5,))
    assert fitting_order([hasty], 12, 1, reserved=[Reservation(4, 4, 0, 8)]).missed == []
    assert fitting_order([hasty], 12, 1, reserved=[Reservation(4, 4, 0, 9)]).missed == [hasty]


def test_what_fits_in_the_compilers_own_order_is_not_told() -> None:
    """The long ones find room before the short ones, and not after."""
    blocks = [block(0, 4, 0, 9, 0), block(1, 4, 4, 14, 8), block(2, 4, 10, 19, 0), block(3, 8, 15, 19, 4)]
    for tiers in ([(0,), (1,), (2,), (3,)], [(7, 0), (1,), (2, 8), (3,)]):
        assert not place(blocks, 16, 1)[1]
        assert fitting_order(blocks, 16, 1, tiers=tiers) == ([], blocks, [])


def test_the_few_that_find_no_room_are_told() -> None:
    """0 and 1 leave gaps of 2 below and above each other's times; 2 is larger, and has to come before them."""
    blocks = [block(0, 2, 0, 4), block(1, 2, 5, 9), block(2, 2, 4, 5), block(3, 6, 0, 9)]
    assert place(blocks, 10, 1)[1] == []
    assert place(blocks, 8, 1)[1] == [blocks[3]]
    tiers = [(0,), (1,), (2,), (3,)]
    assert fitting_order(blocks, 10, 1, tiers=tiers) == ([], blocks, [])
    order = fitting_order(blocks, 10, 1, first=(3,), tiers=tiers)
    assert order == ([blocks[3]], blocks[:3], [])
    assert order.fitting == (3, 0, 1, 2)
    assert fitting_order(blocks, 8, 1, tiers=tiers).missed != []


def test_an_order_within_a_tier_is_not_relied_on() -> None:
    """The hasty one has room before the large one alone; where both are of one tier, that has to be told."""
    large, hasty = block(0, 12, 0, 4), Block(1, 4, ((5, 5),), 0, hasty=(5,))
    assert fitting_order([large, hasty], 12, 1, tiers=[(1,), (0,)]) == ([], [hasty, large], [])
    assert fitting_order([large, hasty], 12, 1, tiers=[(0,), (1,)]) == ([hasty], [large], [])
    assert fitting_order([large, hasty], 12, 1, tiers=[(1, 0)]) == ([hasty], [large], [])
    assert fitting_order([large, hasty], 12, 1, tiers=[(1,)]).rest == [], "the compiler's order is not known in full"


def test_levels_are_shared_by_what_never_meets() -> None:
    one, other, both, late = block(0, 4, 0, 4), block(1, 4, 6, 9), block(2, 4, 3, 7), block(3, 4, 20, 29)
    assert levels([one, other, both, late]) == [[one, other, late], [both]]
    assert levels([both, one, other]) == [[both], [one, other]]
    near = block(4, 4, 5, 5)  # a copy for it may have to look one time back
    assert levels([one, near]) == [[one], [near]]
    assert levels([replace(one, uses=(4, 9)), other]) == [[replace(one, uses=(4, 9))], [other]]


@pytest.fixture(autouse=True)
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing fits, the search would go on for seconds."""
    monkeypatch.setattr(order, "RANDOM_TRIES", 40)
    monkeypatch.setattr(order, "OWN_TRIES", 40)


spans = st.tuples(st.integers(0, 20), st.integers(0, 8), st.integers(1, 6))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(spans, max_size=12), st.integers(0, 3))
def test_placed_blocks_never_overlap(found: list[tuple[int, int, int]], seed: int) -> None:
    blocks = [block(number, size, start, start + length) for number, (start, length, size) in enumerate(found)]
    found_order, rest, missed = fitting_order(blocks, 12, 2, seed=seed)
    assert rest == []
    assert fitting_order(blocks, 12, 2, seed=seed) == (found_order, rest, missed)
    offsets, again = place(found_order, 12, 2)
    assert again == missed
    placed = [one for one in blocks if one.group in offsets]
    assert len(placed) + len(missed) == len(blocks)
    for one in placed:
        assert offsets[one.group] % 2 == 0
        assert offsets[one.group] + one.size <= 12
        for other in placed:
            if one.group < other.group and _meet(one, other):
                low, high = sorted((one, other), key=lambda b: offsets[b.group])
                assert offsets[low.group] + low.size <= offsets[high.group]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(spans, max_size=10), st.permutations(range(10)), st.integers(0, 3))
def test_with_what_is_told_everything_fits_in_the_compilers_own_order(
    found: list[tuple[int, int, int]], own: list[int], seed: int
) -> None:
    blocks = [block(number, size, start, start + length) for number, (start, length, size) in enumerate(found)]
    order = fitting_order(blocks, 12, 2, seed=seed, tiers=[(group,) for group in own])
    if order.missed:
        return
    assert sorted(order.fitting) == list(range(len(blocks)))
    assert order.rest == sorted(order.rest, key=lambda one: own.index(one.group)) or not order.rest
    assert not place([*order.told, *order.rest], 12, 2)[1]
    for one in order.told if order.rest else ():
        fewer = [other for other in order.told if other != one]
        assert place([*fewer, *sorted([one, *order.rest], key=lambda it: own.index(it.group))], 12, 2)[1]


@settings(deadline=None)
@given(st.lists(st.tuples(spans, st.integers(0, 9)), max_size=9), st.randoms(use_true_random=False))
def test_within_a_level_any_order_gives_the_same_places(
    found: list[tuple[tuple[int, int, int], int]], rng: random.Random
) -> None:
    blocks = [
        Block(number, size, ((start, start + length),), 0, (start + length, start + length + later))
        for number, ((start, length, size), later) in enumerate(found)
    ]
    shuffled = [one for level in levels(blocks) for one in rng.sample(level, len(level))]
    assert place(shuffled, 12, 2)[0] == place(blocks, 12, 2)[0]


def by_hand(blocks: list[Block], capacity: int, alignment: int) -> dict[int, int]:
    """Best fit at a snail's pace: every offset is tried."""
    bytes_: dict[int, set[tuple[int, int]]] = {}
    for one in blocks:
        places = []
        for start, end in one.intervals:
            for last in (*(time for time in reversed(one.uses) if time > end), end):
                taken = {b for cells in bytes_.values() for time, b in cells if start <= time <= last}
                top = -(-(max(taken, default=-1) + 1) // alignment) * alignment
                free = [at for at in range(0, top, alignment) if at + one.size <= top]
                free = [at for at in free if not taken & set(range(at, at + one.size))]
                gaps = {}
                for at in free:
                    end_of_gap = min(b for b in taken if b >= at + one.size)
                    begin = max((b + 1 for b in taken if b < at), default=0)
                    gaps[-(-begin // alignment) * alignment] = end_of_gap - -(-begin // alignment) * alignment
                found = min(gaps, key=lambda at: (gaps[at], at), default=top if top + one.size <= capacity else None)
                if found is not None:
                    break
            places.append(found)
        if None not in places:
            bytes_[one.group] = {
                (time, byte)
                for (start, end), at in zip(one.intervals, places, strict=True)
                for time in range(start, end + 1)
                for byte in range(at, at + one.size)
            }
    return {group: min(byte for _, byte in cells) for group, cells in bytes_.items()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(spans, st.integers(0, 9)), max_size=9), st.integers(1, 3))
def test_places_are_those_of_a_slow_allocator(found: list[tuple[tuple[int, int, int], int]], alignment: int) -> None:
    blocks = [
        Block(number, size, ((start, start + length),), 0, (start + length, start + length + later))
        for number, ((start, length, size), later) in enumerate(found)
    ]
    assert place(blocks, 12, alignment)[0] == by_hand(blocks, 12, alignment)


def _meet(one: Block, other: Block) -> bool:
    (a, b), (c, d) = one.intervals[0], other.intervals[0]
    return a <= d and c <= b
