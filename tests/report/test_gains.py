"""Gains, what is left and why, against seconds computed by hand, and sums over random programs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Plan, Stay
from mallocgame.problem.schema import Problem
from mallocgame.programs.loaded import Loaded
from mallocgame.report.comparison import MODELS, compare
from mallocgame.report.gains import gains_of
from mallocgame.report.limits import REASONS, remaining, seconds_by_limit
from tests.report.made import named, random_comparison, small, small_problem


def test_gains_by_hand() -> None:
    # Before, c takes 38 s (38 bytes over HBM); under the plan 17.3 s and a wait of 3 s. a and b are as they were.
    (gain,) = gains_of(small(), "M")
    assert (gain.name, gain.opcode, gain.runs, gain.before) == ("c", "fusion", 1, 38.0)
    assert gain.after == pytest.approx(20.3)
    assert (gain.stall_before, gain.stall_after) == (0.0, 3.0)
    assert gain.seconds == pytest.approx(17.7)
    assert [(move.tensor.name, move.writes, move.bytes, move.fast) for move in gain.moves] == [
        ("b", False, 3.0, True),
        ("w", False, 20.0, True),
    ]


def test_a_loss_comes_last() -> None:
    # a is read from HBM instead of fast memory, b from fast memory instead of HBM: both are bound by memory.
    problem = small_problem()
    quick = tuple(replace(instruction, compute_seconds=0.0) for instruction in problem.instructions)
    problem = replace(problem, instructions=quick)
    before = Plan("f", frozenset({2}), frozenset({(2, 0)}), (Stay(2, 2, 3, 0),))
    after = Plan("f", frozenset({3}), frozenset({(3, 0)}), (Stay(3, 3, 4, 0),))
    comparison = compare(named(problem, after), Loaded(problem, "small.txt"))
    comparison = replace(
        comparison,
        before=replace(
            comparison.before, plan=before, replays={model: replay_plan(problem, before, model) for model in MODELS}
        ),
    )
    found = {gain.name: gain.seconds for gain in gains_of(comparison, "M")}
    # a: writes 2 bytes to HBM, 2 s instead of 0.2 s; b: reads 2 from HBM instead of fast memory, writes 3 the other
    # way round; c reads 3 from fast memory.
    assert found == {"c": pytest.approx(2.7), "b": pytest.approx(3.2 - 2.3), "a": pytest.approx(0.2 - 2.0)}
    assert [gain.name for gain in gains_of(comparison, "M")] == ["c", "b", "a"]
    loss = gains_of(comparison, "M")[-1]
    assert [(move.tensor.name, move.writes, move.fast) for move in loss.moves] == [("a", True, False)]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_gains_add_up_to_the_difference_of_the_totals(seed: int) -> None:
    comparison = random_comparison(seed)
    for model in MODELS:
        before, after = (side.replays[model].total for side in (comparison.before, comparison.after))
        gains = gains_of(comparison, model)
        assert sum(gain.seconds for gain in gains) == pytest.approx(before - after, rel=1e-6, abs=1e-9 * before)
        assert [gain.seconds for gain in gains] == sorted((gain.seconds for gain in gains), reverse=True)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_limits_add_up_to_the_total(seed: int) -> None:
    comparison = random_comparison(seed)
    for model in MODELS:
        replay = comparison.after.replays[model]
        limits = seconds_by_limit(comparison.problem, replay)
        assert sum(limits.values()) == pytest.approx(replay.total, rel=1e-9)
        assert min(limits.values()) >= -1e-12 * replay.total
        assert limits["waiting"] == replay.stall
    sites = remaining(comparison.problem, comparison.after.plan, comparison.after.replays["M"])
    assert {site.reason for site in sites} <= REASONS.keys()
    assert sum(site.seconds for site in sites) <= seconds_by_limit(
        comparison.problem, comparison.after.replays["M"]
    )["HBM"] * (1 + 1e-9)  # fmt: skip


def test_limits_by_hand() -> None:
    # a and b compute for 25 s; c is bound by memory: 15 s over HBM, 2.3 s in fast memory, after 3 s of waiting.
    comparison = small()
    limits = seconds_by_limit(comparison.problem, comparison.after.replays["M"])
    assert limits == {"compute": 25.0, "HBM": 15.0, "fast memory": pytest.approx(2.3), "links": 0.0, "waiting": 3.0}


def _why(problem: Problem, plan: Plan) -> dict[tuple[str, str], str]:
    """(tensor, instruction) -> reason, of what is left in HBM."""
    sites = remaining(problem, plan, replay_plan(problem, plan, "M"))
    return {(site.tensor.name, problem.instructions[site.time].name): site.reason for site in sites}


def test_reasons() -> None:
    # Everything in HBM: c alone is bound by memory. w and v are read by it: a and b leave 4 s and 10 s idle, which
    # hides v's 10 s, not w's 20 s. b and c could have stayed in fast memory.
    problem = small_problem()
    nothing = Plan("f")
    assert _why(problem, nothing) == {
        ("w", "c"): "crosses",
        ("v", "c"): "left",
        ("b", "c"): "left",
        ("c", "c"): "left",
    }
    target = replace(problem.target, fast_bytes=4)
    assert _why(replace(problem, target=target), nothing) == {
        ("w", "c"): "capacity",
        ("v", "c"): "capacity",
        ("b", "c"): "left",
        ("c", "c"): "capacity",
    }
    fixed = tuple(replace(tensor, fixed="of two cores") if tensor.name == "b" else tensor for tensor in problem.tensors)
    assert _why(replace(problem, tensors=fixed), nothing)["b", "c"] == "compiler"
    unasked = tuple(
        replace(tensor, uses=tuple(replace(use, copy_after=None) for use in tensor.uses)) for tensor in problem.tensors
    )
    assert _why(replace(problem, tensors=unasked), nothing)["v", "c"] == "compiler"
    result = tuple(
        replace(tensor, hbm_definition="entry result") if tensor.name == "c" else tensor for tensor in problem.tensors
    )
    assert _why(replace(problem, tensors=result), nothing)["c", "c"] == "crosses"


def test_a_neighbour_takes_the_room() -> None:
    # 22 bytes of fast memory hold w (20 bytes) from its copy on: v's 10 have no room while w is there.
    problem = small_problem()
    problem = replace(problem, target=replace(problem.target, fast_bytes=22))
    plan = Plan("f", stays=(Stay(0, 1, 4, 0),))
    assert _why(problem, plan)["v", "c"] == "capacity"
