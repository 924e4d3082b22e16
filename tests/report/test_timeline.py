"""A replay over the instructions of its problem loses nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.models.replay import Model, Replay, Row, replay_final
from mallocgame.problem.schema import Problem
from mallocgame.report.timeline import lay_out
from tests.problem.captured import BRANCHES, SCAN, Captured
from tests.report.made import predicted, random_comparison, small
from xla_dump_parser import parse_hlo

MODELS: tuple[Model, ...] = ("E", "M")


def check(problem: Problem, replay: Replay) -> None:
    line = lay_out(problem, replay)
    whole = sum(line.seconds) + sum(line.stall) + line.elsewhere
    assert whole == pytest.approx(replay.total, rel=1e-12)
    assert sum(line.stall) == pytest.approx(replay.stall, rel=1e-12, abs=1e-18)
    assert all(hbm + copies <= seconds * (1 + 1e-9) or hbm > seconds for hbm, copies, seconds in zip(
        line.hbm, line.copies, line.seconds, strict=True
    ))  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), model=st.sampled_from(MODELS))
def test_random_plans(seed: int, model: Model) -> None:
    comparison = random_comparison(seed)
    for side in (comparison.before, comparison.after):
        check(comparison.problem, side.replays[model])


@pytest.mark.parametrize("captured", [SCAN, BRANCHES])
@pytest.mark.parametrize("model", MODELS)
def test_what_the_compiler_made(captured: Captured, model: Model) -> None:
    problem = captured.problem
    check(problem, replay_final(problem, parse_hlo(captured.text("after.txt"), "after"), model))


@pytest.mark.parametrize("model", MODELS)
def test_a_real_capture(model: Model) -> None:
    comparison = predicted()
    for side in (comparison.before, comparison.after):
        check(comparison.problem, side.replays[model])


def test_by_hand() -> None:
    # w is prefetched while a (10 s, 4 + 2 bytes over HBM) and b (15 s, 2 bytes) leave 4 s and 13 s, then 3 s of
    # waiting; c reads 20 + 3 bytes from fast memory in 2.3 s and 15 over HBM.
    line = lay_out(small().problem, small().after.replays["M"])
    assert line.runs == [1, 1, 1, 1, 1]
    assert line.seconds == [0.0, 0.0, 10.0, 15.0, pytest.approx(17.3)]
    assert line.stall == [0.0, 0.0, 0.0, 0.0, 3.0]
    assert line.hbm == [0.0, 0.0, 6.0, 2.0, 15.0]
    assert line.copies == [0.0, 0.0, 4.0, 13.0, 0.0]


def test_a_wait_counts_with_the_next_instruction_that_takes_time() -> None:
    problem = small().problem
    wait = Row("copy-done.1", "copy-done", "main", None, 1, 0.0, 0.0, 7.0)
    rows = small().before.replays["M"].rows
    replay = replace(small().before.replays["M"], rows=(rows[0], wait, *rows[1:], replace(wait, stall=2.0)))
    line = lay_out(problem, replay)
    assert line.stall == [0.0, 0.0, 7.0, 0.0, 2.0]  # before a, the first that takes time; the last with c


def test_what_is_in_no_computation_of_the_problem_is_kept() -> None:
    other = Row("x", "fusion", "other", None, 2, 3.0, 1.0, 0.5)
    replay = replace(small().before.replays["M"], rows=(*small().before.replays["M"].rows, other))
    assert lay_out(small().problem, replay).elsewhere == 7.0
