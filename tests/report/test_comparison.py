"""Two placements side by side: figures equal the replay's, and what does not belong together is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mallocgame.compiler.verification import replayed
from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.plan.problem_file import Default
from mallocgame.programs.loaded import Loaded
from mallocgame.programs.readers.capture import of_capture
from mallocgame.report.comparison import ALL_HBM, DEFAULT, PLAN, compare
from mallocgame.system.errors import BadInputError
from tests.bench.fake import STORED, stored
from tests.report.made import SMALL_PLAN, confirmed, named, predicted, small, small_problem
from xla_dump_parser import parse_hlo


def test_a_file_without_xlas_placement_is_compared_with_everything_in_hbm() -> None:
    comparison = small()
    problem = small_problem()
    assert (comparison.before.name, comparison.after.name) == (ALL_HBM, PLAN)
    for model in ("E", "M"):
        assert comparison.before.replays[model] == replay_plan(problem, Plan("f"), model)
        assert comparison.after.replays[model] == replay_plan(problem, SMALL_PLAN, model)
    assert not comparison.confirmed
    assert "XLA's default cannot be shown (the file does not have it)" in comparison.notes[0]
    assert "the file has no cycles of the emitter, so E is M" in comparison.notes


def test_a_problem_files_default_is_shown() -> None:
    problem = small_problem()
    timed = replace(problem.instructions[2], cycles=30)
    problem = replace(problem, instructions=(*problem.instructions[:2], timed, *problem.instructions[3:]))
    default = Default(1.0, 0.0, 1.0, 0.0, 0, SMALL_PLAN, "best fit")
    comparison = compare(named(problem, Plan("f")), Loaded(problem, "x.mgp", default=default))
    assert comparison.before.name == DEFAULT
    assert comparison.before.plan == SMALL_PLAN
    assert any("packed anew" in note for note in comparison.notes)
    assert "E takes the cycles of XLA's default placement, whatever the plan changes" in comparison.notes


def test_why_a_default_is_no_plan_is_told() -> None:
    problem = small_problem()
    default = Default(0.002, 0.0, 0.001, 0.0, 0, None, None, "overlaps itself")
    comparison = compare(named(problem, SMALL_PLAN), Loaded(problem, "x.mgp", default=default))
    assert comparison.before.name == ALL_HBM
    assert "(overlaps itself)" in comparison.notes[0]
    assert comparison.notes[1] == "XLA's default takes 2 ms under E, 1 ms under M"


def test_a_captures_default_has_the_figures_of_verify() -> None:
    capture = stored()
    final = parse_hlo(capture.final, "final")
    row = replayed("xla default", capture.problem(), final, capture.peak_hbm)
    for comparison in (predicted(), confirmed()):
        before = comparison.before
        assert before.source == "compiler"
        assert (before.replays["E"].total, before.replays["M"].total) == (row.e_seconds, row.m_seconds)
        assert (before.replays["E"].stall, before.replays["M"].stall) == (row.e_stall, row.m_stall)
        assert before.replays["M"].peak_fast == row.peak_fast


def test_a_confirmed_plan_shows_what_the_compiler_made() -> None:
    comparison = confirmed()
    assert comparison.confirmed
    assert comparison.verification is not None
    planned = comparison.verification.row("plan")
    assert planned is not None
    assert comparison.after.replays["E"].total == planned.e_seconds
    assert comparison.after.replays["M"].total == planned.m_seconds
    assert comparison.after.plan == comparison.before.plan  # this compiler gives its default


def test_every_copy_has_what_it_moves() -> None:
    for comparison in (predicted(), small()):
        for side in (comparison.before, comparison.after):
            for replay in side.replays.values():
                assert {flight.key for flight in replay.flights} <= side.copies.keys()


def test_a_plan_of_another_split_is_refused() -> None:
    loaded = of_capture(stored(), STORED)
    plan = replace(named(loaded.problem, Plan(loaded.problem.fingerprint)), scoped_vmem_kib=4096)
    with pytest.raises(
        BadInputError, match=r"has the default memory split, the plan is for a memory split of 4096 KiB"
    ):
        compare(plan, loaded)


def test_a_plan_of_another_program_is_refused() -> None:
    loaded = of_capture(stored(), STORED)
    with pytest.raises(BadInputError, match="fingerprint"):
        compare(named(small_problem(), SMALL_PLAN), loaded)
