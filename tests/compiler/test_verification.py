"""The rule by which a program is better than XLA's default (game.md, "How a plan is judged")."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mallocgame.compiler.verification import Row, best_of, replayed
from mallocgame.plan.verdict import is_better, strictly, verdict, verdict_words
from tests.problem.captured import SCAN
from xla_dump_parser import parse_hlo

DEFAULT = Row("xla default", 1.0, 0.0, 1.0, 0.0, 0, 0, (), True)


def at(e: float, m: float, fits: bool = True) -> Row:
    return replace(DEFAULT, name="plan", e_seconds=e, m_seconds=m, fits=fits)


@pytest.mark.parametrize(
    ("e", "m", "expected"),
    [
        (1.0, 1.0, "equal"),
        (0.9991, 1.0009, "equal"),
        (0.9989, 1.0, "better"),
        (1.0, 0.9989, "better"),
        (0.9989, 1.0009, "better"),
        (1.0009, 0.9989, "better"),
        (0.9, 1.0011, "worse"),
        (1.0011, 0.9, "worse"),
        (1.0011, 1.0, "worse"),
        (1.0, 1.0011, "worse"),
        (2.0, 2.0, "worse"),
    ],
)
def test_within_one_split(e: float, m: float, expected: str) -> None:
    assert verdict(at(e, m), DEFAULT) == expected
    assert strictly(verdict(at(e, m), DEFAULT)) == expected
    assert is_better(at(e, m), DEFAULT) == (expected == "better")


@pytest.mark.parametrize(
    ("e", "m", "expected", "strict"),
    [
        (0.9, 1.0249, "better under E", "worse"),
        (0.9989, 1.0249, "better under E", "worse"),
        (0.9991, 1.0249, "worse", "worse"),  # no gain under E, so no loss under M
        (0.9, 1.0251, "worse", "worse"),
        (1.0011, 0.5, "worse", "worse"),  # a loss under E is never allowed
        (0.9, 1.0009, "better", "better"),
        (0.9, 1.0, "better", "better"),
        (1.0, 0.9, "better", "better"),
        (1.0, 1.0, "equal", "equal"),
    ],
)
def test_another_split_may_lose_under_m_what_m_cannot_see(e: float, m: float, expected: str, strict: str) -> None:
    assert verdict(at(e, m), DEFAULT, split_changed=True) == expected
    assert strictly(verdict(at(e, m), DEFAULT, split_changed=True)) == strict


def test_each_verdict_has_a_word_of_its_own() -> None:
    assert [verdict_words(judged) for judged in ("better", "better under E", None)] == [
        "better",
        "better under E, M within 2.5 %",
        "",
    ]


def test_what_does_not_fit_in_hbm_is_worse() -> None:
    assert verdict(at(0.5, 0.5, fits=False), DEFAULT) == "worse"


def test_a_default_of_no_time_cannot_be_beaten() -> None:
    nothing = replace(DEFAULT, e_seconds=0.0, m_seconds=0.0)
    assert verdict(nothing, nothing) == "equal"
    assert verdict(at(1e-9, 0.0), nothing) == "worse"


def test_best_is_the_least_product_of_the_better_ones() -> None:
    off = replace(DEFAULT, name="msa off", e_seconds=0.99, m_seconds=0.99)
    assert best_of((DEFAULT, off, at(0.98, 0.99))) == "plan"
    assert best_of((DEFAULT, off, at(0.99, 0.999))) == "msa off"
    assert best_of((DEFAULT, off, at(0.5, 1.01))) == "msa off"
    assert best_of((DEFAULT, replace(off, m_seconds=1.1), at(1.0, 1.0))) == "xla default"


def test_a_replayed_row_has_both_models_and_knows_what_fits() -> None:
    final = parse_hlo(SCAN.text("after.txt"))
    row = replayed("plan", SCAN.problem, final, SCAN.problem.target.hbm_bytes)
    # No cycles in this text, so E takes the M time of every instruction.
    assert row.e_seconds == row.m_seconds
    assert row.peak_fast == 2 * 512 * 512 * 2
    assert row.fits
    assert not replayed("plan", SCAN.problem, final, SCAN.problem.target.hbm_bytes + 1).fits
