"""The judge names each cause, and finds what is wrong by itself."""

from __future__ import annotations

import pytest

from mallocgame.packing import Buffer, validate

A = Buffer("a", 0, 4, 4)
B = Buffer("b", 3, 6, 2, alignment=2)


@pytest.mark.parametrize(
    ("offsets", "causes"),
    [
        ((0, 4), []),
        ((2, 0), []),
        ((0, 2), ["overlap"]),
        ((1, 4), ["overlap"]),
        ((0, 5), ["alignment"]),
        ((0, 6), ["capacity"]),
        ((3, -2), ["capacity"]),
        ((0,), ["count"]),
    ],
)
def test_causes(offsets: tuple[int, ...], causes: list[str]) -> None:
    assert [violation.cause for violation in validate([A, B], offsets, 7)] == causes


def test_fixed_offset_has_to_be_kept() -> None:
    (violation,) = validate([Buffer("f", 0, 1, 1, offset=3)], [2], 9)
    assert violation.cause == "fixed"
    assert violation.message == "buffer 'f' is at 2, fixed at 3"


def test_colocation_is_one_offset() -> None:
    buffers = [Buffer("a", 0, 1, 1, colocation="x"), Buffer("b", 0, 1, 1), Buffer("c", 1, 2, 3, colocation="x")]
    assert validate(buffers, [1, 0, 1], 4) == []
    (violation,) = validate(buffers, [1, 0, 0], 4)
    assert (violation.cause, violation.ids) == ("colocation", ("a", "c"))
    assert violation.message == "buffers 'a' and 'c' are at 1 and 0, colocation 'x'"


def test_separation_is_no_byte_in_common() -> None:
    """The long one is below both others, and the empty one nowhere."""
    long, short = Buffer("long", 0, 1, 9, separations=("p", "q")), Buffer("short", 1, 2, 1, separations=("p",))
    buffers = [long, short, Buffer("other", 2, 3, 1, separations=("p",)), Buffer("empty", 3, 4, 0, separations=("q",))]
    assert validate(buffers, [0, 9, 10, 5], 11) == []
    found = validate(buffers, [0, 2, 8, 5], 11)
    assert [violation.ids for violation in found] == [("long", "short"), ("long", "other")]
    assert found[1].message == "buffers 'long' and 'other' share bytes 8 to 9, separation 'p'"


def test_gap_ends_where_the_overlap_begins() -> None:
    """Both are in their gaps until time 5, when b comes back."""
    first = Buffer("a", 0, 10, 4, gaps=((2, 6),))
    second = Buffer("b", 2, 8, 4, gaps=((3, 5),))
    assert validate([first, second], [0, 4], 8) == []
    (violation,) = validate([first, second], [0, 0], 8)
    assert violation.message == "buffers 'a' and 'b' share bytes 0 to 4 at time 6"
    assert validate([first, Buffer("c", 2, 6, 4)], [0, 0], 8) == []


def test_touching_is_no_overlap() -> None:
    assert validate([A, Buffer("b", 4, 6, 4)], [0, 0], 4) == []
