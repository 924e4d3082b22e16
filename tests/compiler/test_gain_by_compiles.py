"""The benchmark that compares what the first compiles gain."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import pytest

from benchmarks.compiler.gain_by_compiles import replay, run_curve, table, whole
from mallocgame.bench.programs import TriedProgram
from mallocgame.bench.rows import BenchRow
from mallocgame.plan.verdict import Kind, Verdict
from tests.bench.made_rows import program, row


def tried(
    kind: Kind, gain: float, kib: int | None = None, foreseen: float = 0.0, how: Verdict = "better", compiles: int = 1
) -> TriedProgram:
    """Gains so much under E."""
    made = program("plans" if kind == "plan" else kind, 1e-3 * exp(-gain), 2e-3, how)
    return replace(
        made, kind=kind, scoped_vmem_kib=kib, predicted_e=1e-3 * exp(-foreseen), predicted_m=2e-3, compiles=compiles
    )


def a_row(*programs: TriedProgram, target: str = "v5p") -> BenchRow:
    return row("p", "auto", target=target, programs=programs)


SPLIT = tried("split", 0.1, 40960)
OFF = tried("msa off", 0.0, how="worse")


def test_gains_are_those_of_the_best_better_program_so_far() -> None:
    made = a_row(SPLIT, tried("plan", 0.5, how="worse"), tried("plan", 0.3, compiles=2))
    assert run_curve(made).gains == pytest.approx((0.1, 0.1, 0.1))
    assert whole(made) == pytest.approx(0.3)


def test_a_plan_that_promised_much_is_first_then_the_split_and_the_better_plan() -> None:
    plan, there = tried("plan", 0.2, None, 0.3), tried("plan", 0.4, 40960, 0.35)
    assert replay(a_row(SPLIT, OFF, plan, there)).gains == pytest.approx((0.2, 0.2, 0.4))


def test_a_plan_that_promised_little_comes_after_the_split() -> None:
    plan, there = tried("plan", 0.05, None, 0.05), tried("plan", 0.2, 40960, 0.2)
    assert replay(a_row(SPLIT, OFF, plan, there)).gains == pytest.approx((0.1, 0.2, 0.2))


def test_a_plan_that_was_not_compiled_is_not_known() -> None:
    found = replay(a_row(SPLIT, OFF, tried("plan", 0.2, 40960, 0.2)))
    assert found.gains == pytest.approx((0.0, 0.0, 0.2))
    assert not any(found.known)


def test_without_splits_there_are_plans() -> None:
    found = replay(a_row(OFF, tried("plan", 0.2, compiles=2), tried("plan", 0.3), target="v4 lite"))
    assert found.gains == pytest.approx((0.0, 0.2, 0.3))
    assert all(found.known)


def test_shares_are_of_what_the_rows_gained() -> None:
    key = ("p", "v5p")
    new = replace(a_row(tried("plan", 0.05)), options={"compiles": 1})
    plan = tried("plan", 0.1, None, 0.1)
    lines = list(table("v5p", {key: a_row(plan, OFF)}, {key: new}))
    assert lines[0] == "v5p: 1 programs; gain of the rows 0.100"
    assert lines[1].startswith("  1 compiles: 50.0% (order before: 100.0%); run 1, and of theirs 50.0%; replayed 0;")
    assert lines[2].startswith("  2 compiles: 100.0% (order before: 100.0%); run 0, and of theirs -; replayed 1;")
    assert lines[-1].endswith("0.100 with 3 compiles; now 0.050")
