"""Which confirmed program is the answer, and which are not beaten (game.md, "How a plan is judged")."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mallocgame.compiler.verification import Row
from mallocgame.optimizer.knowledge.candidates import Tried
from mallocgame.optimizer.knowledge.choice import Choice, pareto
from mallocgame.plan.objective import Objective
from mallocgame.plan.verdict import verdict

DEFAULT = Row("xla default", 1.0, 0.0, 1.0, 0.0, 0, 0, (), True)


def tried(about: str, e: float, m: float, split: int | None = None, fits: bool = True) -> Tried:
    row = replace(DEFAULT, e_seconds=e, m_seconds=m, fits=fits)
    changed = split is not None
    return Tried(
        "plans", "plan", about, {}, split, "f", row=row,
        verdict=verdict(row, DEFAULT, changed),
    )  # fmt: skip


XLA = tried("xla", 1.0, 1.0)
FAILED = Tried("plans", "plan", "refused", {}, None, "f", failure="refused")


@pytest.mark.parametrize(("objective", "expected"), [("E", "quick e"), ("M", "quick m"), ("both", "even")])
def test_the_objective_decides_among_what_beats_the_default(objective: Objective, expected: str) -> None:
    programs = (XLA, FAILED, tried("quick e", 0.8, 1.0), tried("quick m", 1.0, 0.8), tried("even", 0.85, 0.9))
    assert Choice(objective).best(programs).about == expected


def test_what_loses_under_one_model_is_no_answer() -> None:
    programs = (XLA, tried("mixed", 0.5, 1.01), tried("does not fit", 0.5, 0.5, fits=False), FAILED)
    assert Choice().best(programs) is XLA


def test_another_split_may_lose_a_little_under_m_unless_strict() -> None:
    programs = (XLA, tried("split", 0.8, 1.02, split=32768), tried("plan", 0.99, 1.0))
    assert Choice().best(programs).about == "split"
    assert Choice(strict=True).best(programs).about == "plan"


def test_pareto_keeps_what_nobody_beats_under_both() -> None:
    programs = (
        XLA,
        tried("quick e", 0.8, 1.1),
        tried("beaten", 0.9, 1.15),
        tried("quick m", 1.2, 0.7),
        tried("no room", 0.1, 0.1, fits=False),
        tried("as quick as xla", 1.0, 1.0),
        FAILED,
    )
    assert [entry.about for entry in pareto(programs)] == ["quick e", "xla", "quick m"]


def test_rank_puts_losers_last() -> None:
    rows = [replace(DEFAULT, e_seconds=e, m_seconds=m) for e, m in ((1.0, 1.0), (0.5, 1.1), (0.9, 0.9))]
    ranked = sorted(rows, key=lambda row: Choice().rank(row, DEFAULT, split_changed=False))
    assert [row.e_seconds for row in ranked] == [0.9, 1.0, 0.5]
